import { defineAgentNodeAttestor } from '../../plugin-sdk/index.ts';
import { awsAgentConfig } from './agent-config.ts';
import { encodePayload } from './attestation-payload.ts';
import { fetchIdentity } from './instance-metadata.ts';

/** The half of the attestor that runs in the EC2 instance. */
export const awsAgentNodeAttestor = defineAgentNodeAttestor({
  name: 'aws_iid',
  config: awsAgentConfig,
  configure: (config) => config,
  async *aidAttestation(config, { signal }) {
    yield encodePayload(await fetchIdentity(config.ec2_metadata_endpoint, signal));
  },
});
