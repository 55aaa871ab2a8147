import { defineServerNodeAttestor, requireFirstUse } from '../../plugin-sdk/index.ts';
import { admitMachine } from './admit-machine.ts';
import { readState } from './attestor-state.ts';
import { azureServerConfig } from './server-config.ts';

/** Admits virtual machines of Azure, each once. */
export const azureServerNodeAttestor = defineServerNodeAttestor({
  name: 'azure_imds',
  config: azureServerConfig,
  configure: (config) => readState(config),
  attest: (payload, state, context) =>
    admitMachine(payload, state, context, (agentId) => requireFirstUse(agentId, context)),
});
