import { defineServerNodeAttestor, requireFirstUse } from '../../plugin-sdk/index.ts';
import { admitNode } from './admit-node.ts';
import { readState } from './attestor-state.ts';
import { awsServerConfig } from './server-config.ts';

/** Admits EC2 instances, each once. */
export const awsServerNodeAttestor = defineServerNodeAttestor({
  name: 'aws_iid',
  config: awsServerConfig,
  configure: (config) => readState(config),
  async *attest(payload, state, context) {
    yield* []; // there is no challenge
    return await admitNode(payload, state, context, (agentId) => requireFirstUse(agentId, context));
  },
});
