import { defineAgentNodeAttestor, z } from 'assayer/plugin-sdk';
import { NODE_NAME, proofOf, readKey } from './proof.ts';

const config = z.strictObject({
  node: z.string().regex(NODE_NAME, { error: 'must be a name of small letters, digits, "." and "-"' }),
  key_path: z.string().regex(/^\//, { error: 'must be the absolute path of a file' }),
});

/** The agent's half: it says who the node is, then proves it. */
export const agent = defineAgentNodeAttestor({
  name: '__NAME__',
  config,
  configure: ({ node, key_path: keyPath }) => ({ node, keyPath }),
  async *aidAttestation({ node, keyPath }) {
    const challenge = yield new TextEncoder().encode(node);
    yield proofOf(await readKey(keyPath), node, challenge);
  },
});
