import { randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { agentId, defineServerNodeAttestor, SpiffeError, z } from 'assayer/plugin-sdk';
import { CHALLENGE_BYTES, NODE_NAME, proofOf, readKey } from './proof.ts';

const config = z.strictObject({
  keys_path: z.string().regex(/^\//, { error: 'must be the absolute path of a folder' }),
});

/** The server's half: it believes nothing but the proof. */
export const server = defineServerNodeAttestor({
  name: '__NAME__',
  config,
  configure: ({ keys_path: keysPath }) => ({ keysPath }),
  async *attest(payload, { keysPath }, { trustDomain }) {
    const node = new TextDecoder().decode(payload.subarray(0, 64));
    if (!NODE_NAME.test(node)) throw new SpiffeError('ATTESTATION_DENIED', 'the payload is no name of a node');
    const challenge = randomBytes(CHALLENGE_BYTES);
    const answer = yield challenge;
    const wanted = proofOf(await findKey(keysPath, node), node, challenge);
    if (answer.length !== wanted.length || !timingSafeEqual(answer, wanted)) {
      throw new SpiffeError('ATTESTATION_DENIED', `the proof of node "${node}" is wrong`);
    }
    return { spiffeId: agentId(trustDomain, '__NAME__', node), selectorValues: [`node:${node}`], canReattest: true };
  },
});

async function findKey(keysPath: string, node: string): Promise<Uint8Array> {
  return await readKey(join(keysPath, node)).catch((cause: unknown) => {
    throw new SpiffeError('ATTESTATION_DENIED', `there is no key for node "${node}"`, { cause });
  });
}
