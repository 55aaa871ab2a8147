import { type KeyObject, sign, verify } from 'node:crypto';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import type { SshKeyType, SshPublicKey } from './ssh-key.ts';
import { SshReader, sshPositiveInteger } from './ssh-reader.ts';

/** `format` says how it was made: RFC 4253 §6.6, RFC 8332 §3. */
export interface SshSignature {
  readonly format: string;
  readonly blob: Uint8Array;
}

interface Scheme {
  readonly hash: 'sha1' | 'sha256' | 'sha384' | 'sha512' | undefined;
  /** Bytes of a coordinate, of ECDSA. */
  readonly coordinateBytes?: number;
}

const ELLIPTIC = {
  'ssh-ed25519': { hash: undefined },
  'ecdsa-sha2-nistp256': { hash: 'sha256', coordinateBytes: 32 },
  'ecdsa-sha2-nistp384': { hash: 'sha384', coordinateBytes: 48 },
  'ecdsa-sha2-nistp521': { hash: 'sha512', coordinateBytes: 66 },
} as const satisfies Record<Exclude<SshKeyType, 'ssh-rsa'>, Scheme>;
const RSA = {
  'rsa-sha2-256': { hash: 'sha256' },
  'rsa-sha2-512': { hash: 'sha512' },
} as const satisfies Record<string, Scheme>;
const RSA_WITH_SHA1: Scheme = { hash: 'sha1' };
const OUR_RSA_FORMAT = 'rsa-sha2-512';

export interface VerifyOptions {
  /** Of RSA: SHA-1, in which SPIRE's agents sign. No certificate is good that was signed so. */
  readonly allowsSha1: boolean;
}

/** @throws SpiffeError `ARGUMENT_INVALID` for a format that is none of this key's, or a blob that cannot be read */
export function isSignedBy(
  { type, key }: SshPublicKey,
  message: Uint8Array,
  { format, blob }: SshSignature,
  options: VerifyOptions,
): boolean {
  const scheme = findScheme(type, format, options);
  if (scheme === undefined) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `a signature in the format ${JSON.stringify(format.slice(0, 64))} is not accepted from a key of type ${type}`,
    );
  }
  const { hash, coordinateBytes } = scheme;
  if (coordinateBytes === undefined) return verify(hash, message, key, blob);
  const signature = readEcdsa(blob, coordinateBytes);
  return signature !== undefined && verify(hash, message, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

/** @param type that of the key's public half */
export function signWith(key: KeyObject, type: SshKeyType, message: Uint8Array): SshSignature {
  if (type === 'ssh-rsa') {
    return { format: OUR_RSA_FORMAT, blob: new Uint8Array(sign(RSA[OUR_RSA_FORMAT].hash, message, key)) };
  }
  const scheme: Scheme = ELLIPTIC[type];
  if (scheme.coordinateBytes === undefined)
    return { format: type, blob: new Uint8Array(sign(undefined, message, key)) };
  const signature = sign(scheme.hash, message, { key, dsaEncoding: 'ieee-p1363' });
  const half = scheme.coordinateBytes;
  const integers = [signature.subarray(0, half), signature.subarray(half)].map(sshPositiveInteger);
  return { format: type, blob: new Uint8Array(Buffer.concat(integers)) };
}

function findScheme(type: SshKeyType, format: string, { allowsSha1 }: VerifyOptions): Scheme | undefined {
  if (type !== 'ssh-rsa') return format === type ? ELLIPTIC[type] : undefined;
  if (format === 'ssh-rsa') return allowsSha1 ? RSA_WITH_SHA1 : undefined;
  return format === 'rsa-sha2-256' || format === 'rsa-sha2-512' ? RSA[format] : undefined;
}

/** Two integers in a row, as `ieee-p1363` has them; undefined where one has too many bytes. Source: RFC 5656 §3.1.2 */
function readEcdsa(blob: Uint8Array, size: number): Uint8Array | undefined {
  const reader = new SshReader(blob, 'the ECDSA signature');
  const integers = [reader.positiveInteger('r'), reader.positiveInteger('s')];
  reader.requireEnd();
  if (integers.some(({ length }) => length > size)) return undefined;
  return Buffer.concat(integers.map((integer) => Buffer.concat([Buffer.alloc(size - integer.length), integer])));
}
