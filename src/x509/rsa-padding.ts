import { createHash, randomBytes } from 'node:crypto';
import { SpiffeError } from '../spiffe/error.ts';
import { derNull, octetString, oid, sequence } from './der.ts';

/** NIST's arc of hash algorithms, of which each has one number: RFC 8017 §B.1, and the Computer Security Objects Register. */
const HASH_ARC = '2.16.840.1.101.3.4.2';
const HASH_NUMBERS = {
  sha256: 1,
  sha384: 2,
  sha512: 3,
  sha224: 4,
  'sha512-224': 5,
  'sha512-256': 6,
  'sha3-224': 7,
  'sha3-256': 8,
  'sha3-384': 9,
  'sha3-512': 10,
} as const;
/** Every hash that a key manager can be asked to sign a digest of. */
export type DigestHash = keyof typeof HASH_NUMBERS;
/** 0x00 0x01, at least eight 0xff, 0x00. */
const MIN_PKCS1_BYTES = 11;
/** PSS leaves the highest bit of a modulus with a whole number of bytes alone. */
const BELOW_MODULUS = 0x7f;

/** In bytes. */
export function hashLength(hash: DigestHash): number {
  return createHash(hash).digest().length;
}

/** DigestInfo, DER: what PKCS #1 v1.5 puts its padding around. */
export function digestInfo(digest: Uint8Array, hash: DigestHash): Uint8Array {
  const algorithm = sequence(oid(`${HASH_ARC}.${HASH_NUMBERS[hash]}`), derNull());
  return sequence(algorithm, octetString(digest));
}

/**
 * EMSA-PKCS1-v1_5: the number that RSA's private operation makes a signature of.
 *
 * @param length of the modulus in bytes
 * @see RFC 8017 §9.2
 */
export function padPkcs1(digest: Uint8Array, hash: DigestHash, length: number): Uint8Array {
  const info = digestInfo(digest, hash);
  if (info.length + MIN_PKCS1_BYTES > length) throw tooLong(hash, length);
  const padding = Buffer.alloc(length - info.length - 3, 0xff);
  return Buffer.concat([Buffer.of(0x00, 0x01), padding, Buffer.of(0x00), info]);
}

/**
 * EMSA-PSS with MGF1 of the same hash.
 *
 * @param length of the modulus in bytes; its bits are eight times as many
 * @param saltLength in bytes, or as long as the digest, or as long as fits
 * @see RFC 8017 §9.1.1
 */
export function padPss(
  digest: Uint8Array,
  hash: DigestHash,
  { length, saltLength }: { readonly length: number; readonly saltLength: number | 'digest' | 'longest' },
): Uint8Array {
  const longest = length - digest.length - 2;
  const saltBytes = saltLength === 'digest' ? digest.length : saltLength === 'longest' ? longest : saltLength;
  if (saltBytes < 0 || saltBytes > longest) {
    throw new SpiffeError('ARGUMENT_INVALID', `a salt of ${saltBytes} bytes does not fit, 0 to ${longest} do`);
  }
  const salt = randomBytes(saltBytes);
  const hashed = createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest();
  const block = Buffer.concat([Buffer.alloc(longest - saltBytes), Buffer.of(0x01), salt]);
  const mask = generateMask(hashed, hash, block.length);
  for (const [index, byte] of mask.entries()) {
    block[index] = (block[index] ?? 0) ^ byte;
  }
  block[0] = (block[0] ?? 0) & BELOW_MODULUS;
  return Buffer.concat([block, hashed, Buffer.of(0xbc)]);
}

/** MGF1: RFC 8017 §B.2.1. */
function generateMask(seed: Uint8Array, hash: DigestHash, length: number): Buffer {
  const parts: Buffer[] = [];
  const counter = Buffer.alloc(4);
  for (let index = 0; parts.reduce((total, part) => total + part.length, 0) < length; index++) {
    counter.writeUInt32BE(index);
    parts.push(createHash(hash).update(seed).update(counter).digest());
  }
  return Buffer.concat(parts).subarray(0, length);
}

function tooLong(hash: DigestHash, length: number): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', `a ${hash} digest does not fit into an RSA key of ${length} bytes`);
}
