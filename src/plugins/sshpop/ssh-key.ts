import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import { SshReader } from './ssh-reader.ts';

/** The types of keys that prove something here; those of security keys and DSA do not. */
export const KEY_TYPES = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
] as const;
export type SshKeyType = (typeof KEY_TYPES)[number];

export interface SshPublicKey {
  readonly type: SshKeyType;
  readonly key: KeyObject;
}

const CURVES = {
  'ecdsa-sha2-nistp256': { name: 'nistp256', jwk: 'P-256', bytes: 32 },
  'ecdsa-sha2-nistp384': { name: 'nistp384', jwk: 'P-384', bytes: 48 },
  'ecdsa-sha2-nistp521': { name: 'nistp521', jwk: 'P-521', bytes: 66 },
} as const;
const RSA_BITS = { min: 2048, max: 8192 };
const ED25519_BYTES = 32;
const MAX_EXPONENT_BYTES = 4;

export function isKeyType(type: string): type is SshKeyType {
  return KEY_TYPES.some((known) => known === type);
}

/**
 * A public key as it stands in files and as the signer of a certificate.
 *
 * @throws SpiffeError `ARGUMENT_INVALID`
 * @see RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4
 */
export function parsePublicKey(blob: Uint8Array, what: string): SshPublicKey {
  const reader = new SshReader(blob, what);
  const type = requireKeyType(reader.text('the type of the key'), what);
  const key = readPublicKey(reader, type, what);
  reader.requireEnd();
  return { type, key };
}

export function requireKeyType(type: string, what: string): SshKeyType {
  if (isKeyType(type)) return type;
  throw invalid(what, `has a key of type ${JSON.stringify(type.slice(0, 64))}, there are ${KEY_TYPES.join(', ')}`);
}

/** What is behind the type in a key, and behind the nonce in a certificate. */
export function readPublicKey(reader: SshReader, type: SshKeyType, what: string): KeyObject {
  return keyOf(readJwk(reader, type, what), what);
}

function readJwk(reader: SshReader, type: SshKeyType, what: string): JsonWebKey {
  if (type === 'ssh-rsa') return readRsa(reader, what);
  if (type === 'ssh-ed25519') {
    const bytes = reader.bytes('the Ed25519 key');
    if (bytes.length !== ED25519_BYTES) throw invalid(what, `has an Ed25519 key of ${bytes.length} bytes`);
    return { kty: 'OKP', crv: 'Ed25519', x: base64Url(bytes) };
  }
  const { name, jwk, bytes } = CURVES[type];
  const curve = reader.text('the name of the curve');
  const point = reader.bytes('the point of the key');
  if (curve !== name)
    throw invalid(what, `has the curve ${JSON.stringify(curve.slice(0, 64))} in a key of type ${type}`);
  if (point.length !== 1 + 2 * bytes || point[0] !== 0x04) throw invalid(what, `has no uncompressed point of ${name}`);
  const [x, y] = [point.subarray(1, 1 + bytes), point.subarray(1 + bytes)];
  return { kty: 'EC', crv: jwk, x: base64Url(x), y: base64Url(y) };
}

function readRsa(reader: SshReader, what: string): JsonWebKey {
  const exponent = reader.positiveInteger('the exponent');
  const modulus = reader.positiveInteger('the modulus');
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < RSA_BITS.min || bits > RSA_BITS.max) {
    throw invalid(what, `has an RSA key of ${bits} bits, not ${RSA_BITS.min} to ${RSA_BITS.max}`);
  }
  const isOdd = (integer: Uint8Array) => ((integer.at(-1) ?? 0) & 1) === 1;
  const isOne = exponent.length === 1 && exponent[0] === 1;
  if (exponent.length > MAX_EXPONENT_BYTES || isOne || !isOdd(exponent) || !isOdd(modulus)) {
    throw invalid(what, 'has an RSA key whose exponent or modulus is none');
  }
  return { kty: 'RSA', e: base64Url(exponent), n: base64Url(modulus) };
}

function keyOf(jwk: JsonWebKey, what: string): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch (cause) {
    throw invalid(what, 'has a public key that is no valid key', cause);
  }
}

export function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

function invalid(what: string, reason: string, cause?: unknown): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', `${what} ${reason}`, { cause });
}
