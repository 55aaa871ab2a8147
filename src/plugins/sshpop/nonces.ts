import { createHash } from 'node:crypto';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import { NONCE_BYTES } from './messages.ts';

/** What the host key signs: SHA-256 of both nonces. @throws SpiffeError `ARGUMENT_INVALID` for a nonce of another size */
export function bothNonces(challenge: Uint8Array, response: Uint8Array): Uint8Array {
  for (const nonce of [challenge, response]) {
    if (nonce.length === NONCE_BYTES) continue;
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `a nonce of sshpop has ${nonce.length} bytes, it has to have ${NONCE_BYTES}`,
    );
  }
  return new Uint8Array(createHash('sha256').update(challenge).update(response).digest());
}
