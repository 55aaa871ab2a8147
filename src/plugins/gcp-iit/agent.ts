import { defineAgentNodeAttestor } from '../../plugin-sdk/index.ts';
import { gcpAgentConfig } from './agent-config.ts';
import { fetchIdentityToken } from './fetch-identity-token.ts';

/** The half of the attestor that runs in the virtual machine. */
export const gcpAgentNodeAttestor = defineAgentNodeAttestor({
  name: 'gcp_iit',
  config: gcpAgentConfig,
  configure: (config) => config,
  async *aidAttestation(config, { signal }) {
    yield await fetchIdentityToken(config, signal);
  },
});
