import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { decodePem, SpiffeError } from '../../plugin-sdk/index.ts';
import { base64Url, requireKeyType, type SshKeyType } from './ssh-key.ts';
import { SshReader } from './ssh-reader.ts';

const LABEL = 'OPENSSH PRIVATE KEY';
const MAGIC = Buffer.from('openssh-key-v1\0');
const WHAT = 'the private key';
const CURVES = {
  'ecdsa-sha2-nistp256': { jwk: 'P-256', bytes: 32 },
  'ecdsa-sha2-nistp384': { jwk: 'P-384', bytes: 48 },
  'ecdsa-sha2-nistp521': { jwk: 'P-521', bytes: 66 },
} as const;
const SEED_BYTES = 32;

/**
 * A key in OpenSSH's own format or in PEM, in clear.
 *
 * @throws SpiffeError `ARGUMENT_INVALID`; nothing of the key is in it
 * @see PROTOCOL.key of OpenSSH
 */
export function parseSshPrivateKey(text: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) throw encrypted();
  const [block] = decodePem(text, LABEL);
  try {
    return block === undefined ? createPrivateKey(text) : readOpensshKey(block);
  } catch (error) {
    if (error instanceof SpiffeError) throw error;
    throw invalid('does not parse'); // OpenSSL's reason might tell of the key
  }
}

function readOpensshKey(block: Uint8Array): KeyObject {
  if (!Buffer.from(block.subarray(0, MAGIC.length)).equals(MAGIC)) throw invalid('is of an unknown format');
  const reader = new SshReader(block.subarray(MAGIC.length), WHAT);
  const [cipher, derivation] = [reader.text('the cipher'), reader.text('the key derivation')];
  reader.bytes('the options of the key derivation');
  if (cipher !== 'none' || derivation !== 'none') throw encrypted();
  if (reader.uint32('the number of keys') !== 1) throw invalid('is not one key');
  reader.bytes('the public half');
  const secret = new SshReader(reader.bytes('the private half'), WHAT);
  reader.requireEnd();
  if (secret.uint32('the first check') !== secret.uint32('the second check')) throw invalid('is damaged');
  const type = requireKeyType(secret.text('the type'), WHAT);
  return createPrivateKey({ key: readJwk(secret, type), format: 'jwk' });
}

function readJwk(secret: SshReader, type: SshKeyType): JsonWebKey {
  if (type === 'ssh-rsa') return readRsa(secret);
  if (type === 'ssh-ed25519') {
    const x = secret.bytes('the public key');
    const seedAndKey = secret.bytes('the seed');
    return { kty: 'OKP', crv: 'Ed25519', x: base64Url(x), d: base64Url(seedAndKey.subarray(0, SEED_BYTES)) };
  }
  const { jwk, bytes } = CURVES[type];
  secret.text('the curve');
  const point = secret.bytes('the point');
  const scalar = secret.positiveInteger('the scalar');
  const d = Buffer.concat([Buffer.alloc(Math.max(bytes - scalar.length, 0)), scalar]);
  const [x, y] = [point.subarray(1, 1 + bytes), point.subarray(1 + bytes)];
  return { kty: 'EC', crv: jwk, x: base64Url(x), y: base64Url(y), d: base64Url(d) };
}

/** The two exponents that the Chinese remainder theorem needs are not in the file. */
function readRsa(secret: SshReader): JsonWebKey {
  const next = (field: string) => secret.positiveInteger(field);
  const [n, e, d] = [next('the modulus'), next('the exponent'), next('the private exponent')];
  const [qi, p, q] = [next('the coefficient'), next('a prime'), next('the other prime')];
  const exponentFor = (prime: Uint8Array) => bytesOf(numberOf(d) % (numberOf(prime) - 1n));
  const [dp, dq] = [exponentFor(p), exponentFor(q)];
  const fields = Object.entries({ n, e, d, p, q, dp, dq, qi }).map(([name, value]) => [name, base64Url(value)]);
  return { kty: 'RSA', ...Object.fromEntries(fields) };
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

function bytesOf(value: bigint): Uint8Array {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

const encrypted = () => invalid('is encrypted: store it in clear, readable by root alone');

function invalid(reason: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', `${WHAT} ${reason}`);
}
