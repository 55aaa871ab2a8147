import { defineAgentNodeAttestor, SpiffeError } from '../../plugin-sdk/index.ts';
import { azureAgentConfig } from './agent-config.ts';
import { encodeResponse, FIRST_PAYLOAD, isNonce } from './attestation-messages.ts';
import { fetchAttestedDocument, findScaleSetName } from './instance-metadata.ts';

/** The half of the attestor that runs in the virtual machine. */
export const azureAgentNodeAttestor = defineAgentNodeAttestor({
  name: 'azure_imds',
  config: azureAgentConfig,
  configure: (config) => config,
  async *aidAttestation(config, { signal }) {
    const challenge = yield FIRST_PAYLOAD;
    const nonce = Buffer.from(challenge).toString('latin1');
    if (!isNonce(nonce)) {
      throw new SpiffeError('ARGUMENT_INVALID', 'the server’s challenge is no nonce of 1 to 64 letters and digits');
    }
    const [document, scaleSetName] = await Promise.all([
      fetchAttestedDocument(config.metadata_endpoint, nonce, signal),
      findScaleSetName(config.metadata_endpoint, signal),
    ]);
    yield encodeResponse({ ...document, agentDomain: config.tenant_domain, scaleSetName });
  },
});
