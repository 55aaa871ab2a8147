import { createHmac, createSecretKey, hash as digest } from 'node:crypto';
import type { StrongHash } from './algorithms.ts';
import { concat, u32 } from './tpm-writer.ts';

const ZERO = Uint8Array.of(0);

/**
 * KDFa: HMAC in counter mode. Part 1, §11.4.10.2 (SP 800-108).
 *
 * @param label without its NUL
 * @param bits a multiple of 8, at most what 255 rounds give
 */
export function kdfA(
  hash: StrongHash,
  key: Uint8Array,
  label: string,
  contextU: Uint8Array,
  contextV: Uint8Array,
  bits: number,
): Uint8Array {
  const fixed = concat(Buffer.from(label, 'ascii'), ZERO, contextU, contextV, u32(bits));
  const secret = createSecretKey(key); // of bytes Node makes an exception first, which takes longer than the HMAC
  return inRounds(bits, (counter) => createHmac(hash, secret).update(counter).update(fixed).digest());
}

/** KDFe: a hash over the shared secret of a key agreement. Part 1, §11.4.10.3 (SP 800-56A). */
export function kdfE(
  hash: StrongHash,
  sharedX: Uint8Array,
  label: string,
  partyUX: Uint8Array,
  partyVX: Uint8Array,
  bits: number,
): Uint8Array {
  const fixed = concat(sharedX, Buffer.from(label, 'ascii'), ZERO, partyUX, partyVX);
  return inRounds(bits, (counter) => digest(hash, concat(counter, fixed), 'buffer'));
}

function inRounds(bits: number, round: (counter: Uint8Array) => Uint8Array): Uint8Array {
  const bytes = bits / 8;
  const blocks: Uint8Array[] = [];
  let length = 0;
  for (let counter = 1; length < bytes; counter++) {
    const block = round(u32(counter));
    blocks.push(block);
    length += block.length;
  }
  return concat(...blocks).subarray(0, bytes);
}
