import { hash as digest } from 'node:crypto';
import { type StrongHash, TPM_HASHES } from './algorithms.ts';
import { concat, u32 } from './tpm-writer.ts';

/**
 * The padded message of RSAES-OAEP, for the raw RSA operation. OpenSSL's own takes no seed.
 *
 * @param seed random, as long as the hash
 * @param size of the modulus in bytes
 * @see RFC 8017 §7.1.1, step 2; §B.2.1 (MGF1 with the same hash)
 */
export function encodeOaep(options: {
  readonly hash: StrongHash;
  readonly label: Uint8Array;
  readonly message: Uint8Array;
  readonly seed: Uint8Array;
  readonly size: number;
}): Uint8Array {
  const { hash, label, message, seed, size } = options;
  const hashSize = TPM_HASHES[hash].size;
  const dataSize = size - hashSize - 1;
  const zeros = dataSize - hashSize - 1 - message.length;
  if (zeros < 0 || seed.length !== hashSize) {
    throw new RangeError(`OAEP of ${message.length} bytes with a seed of ${seed.length}, ${hash}, in ${size} bytes`);
  }
  const labelHash = digest(hash, label, 'buffer');
  const data = concat(labelHash, new Uint8Array(zeros), Uint8Array.of(1), message);
  const maskedData = xor(data, mgf1(hash, seed, dataSize));
  const maskedSeed = xor(seed, mgf1(hash, maskedData, hashSize));
  return concat(Uint8Array.of(0), maskedSeed, maskedData);
}

function mgf1(hash: StrongHash, seed: Uint8Array, length: number): Uint8Array {
  const rounds = Math.ceil(length / TPM_HASHES[hash].size);
  const blocks = Array.from({ length: rounds }, (_, counter) => digest(hash, concat(seed, u32(counter)), 'buffer'));
  return concat(...blocks).subarray(0, length);
}

function xor(left: Uint8Array, right: Uint8Array): Uint8Array {
  return left.map((byte, index) => byte ^ (right[index] ?? 0));
}
