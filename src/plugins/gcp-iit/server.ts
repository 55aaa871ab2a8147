import { defineServerNodeAttestor, requireFirstUse } from '../../plugin-sdk/index.ts';
import { admitInstance } from './admit-instance.ts';
import { readState } from './attestor-state.ts';
import { gcpServerConfig } from './server-config.ts';

/** Admits virtual machines of Google Compute Engine, each once. */
export const gcpServerNodeAttestor = defineServerNodeAttestor({
  name: 'gcp_iit',
  config: gcpServerConfig,
  configure: (config) => readState(config),
  async *attest(payload, state, context) {
    yield* []; // there is no challenge
    return await admitInstance(payload, state, context, (agentId) => requireFirstUse(agentId, context));
  },
});
