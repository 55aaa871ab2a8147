import { createHash } from 'node:crypto';

/** SHA-256 in hex, for what is told apart and not told; nothing for no bytes. */
export function hash(bytes: Uint8Array): string | undefined {
  return bytes.length === 0 ? undefined : createHash('sha256').update(bytes).digest('hex');
}
