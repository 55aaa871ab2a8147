import { createECDH, createPublicKey, hash, verify } from 'node:crypto';
import { isSpiffeError } from '../../spiffe/error.ts';
import { parseDer, Tag } from '../../x509/der.ts';
import type { EcCurve, PublicKeyInfo } from '../../x509/spki.ts';

export type EcPublicKey = Extract<PublicKeyInfo, { readonly type: 'ec' }>;

interface Curve {
  readonly opensslName: string;
  /** Of a coordinate. */
  readonly byteCount: number;
  /** Prime of the field. */
  readonly p: bigint;
  /** Order of the group. */
  readonly n: bigint;
}

/** SP 800-186, §3.2.1. */
const CURVES: Readonly<Record<EcCurve, Curve>> = {
  'P-256': {
    opensslName: 'prime256v1',
    byteCount: 32,
    p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  'P-384': {
    opensslName: 'secp384r1',
    byteCount: 48,
    p: 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffffn,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
  'P-521': {
    opensslName: 'secp521r1',
    byteCount: 66,
    p: 2n ** 521n - 1n,
    n: 0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  },
};

/** What is signed in the place of the digest, and its hash as a number: shorter than the order of every curve. */
const STAND_IN = Buffer.from('IMA');
const STAND_IN_NUMBER = toNumber(hash('sha256', STAND_IN, 'buffer'));

/**
 * Whether an ECDSA signature is over this digest. Node hashes whatever it verifies, and the kernel signs digests of files, so
 * the key is moved: (r, s) is a signature by Q over the number e exactly where it is one by Q + ((e − z) / r) G over z, which
 * is the hash of something known. All of this is public.
 *
 * @param signature Ecdsa-Sig-Value (RFC 3279 §2.2.3), DER
 * @see FIPS 186-5 §6.4.2
 */
export function isDigestSignedByEc(key: EcPublicKey, digest: Uint8Array, signature: Uint8Array): boolean {
  const pair = findPair(signature);
  if (pair === undefined) return false;
  const curve = CURVES[key.curve];
  const { n, byteCount } = curve;
  const { r, s } = pair;
  if (r === 0n || s === 0n || r >= n || s >= n) return false;
  const difference = modulo((digestNumber(digest, n) - STAND_IN_NUMBER) * inverse(r, n), n);
  const point = difference === 0n ? key.point : findSum(curve, key.point, difference);
  if (point === undefined) return false;
  const moved = createPublicKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: key.curve,
      x: Buffer.from(point.subarray(1, 1 + byteCount)).toString('base64url'),
      y: Buffer.from(point.subarray(1 + byteCount)).toString('base64url'),
    },
  });
  return verify('sha256', STAND_IN, { key: moved, dsaEncoding: 'ieee-p1363' }, toBytes([r, s], byteCount));
}

/** The leftmost bits of a digest, as many as the order has. */
function digestNumber(digest: Uint8Array, n: bigint): bigint {
  const excess = digest.length * 8 - n.toString(2).length;
  const number = toNumber(digest);
  return excess > 0 ? number >> BigInt(excess) : number;
}

/**
 * Q + t G, for 0 < t < n.
 *
 * @returns undefined where both are one point, or each the other's negative: then t is the private key of Q, or of −Q.
 */
function findSum({ opensslName, byteCount, p }: Curve, point: Uint8Array, t: bigint): Uint8Array | undefined {
  const multiplier = createECDH(opensslName);
  multiplier.setPrivateKey(toBytes([t], byteCount));
  const [x1, y1] = coordinatesOf(point, byteCount);
  const [x2, y2] = coordinatesOf(multiplier.getPublicKey(), byteCount);
  if (x1 === x2) return undefined;
  const slope = modulo((y2 - y1) * inverse(modulo(x2 - x1, p), p), p);
  const x = modulo(slope * slope - x1 - x2, p);
  const y = modulo(slope * (x1 - x) - y1, p);
  return Buffer.concat([Buffer.of(0x04), toBytes([x, y], byteCount)]);
}

function coordinatesOf(point: Uint8Array, byteCount: number): readonly [bigint, bigint] {
  return [toNumber(point.subarray(1, 1 + byteCount)), toNumber(point.subarray(1 + byteCount))];
}

function findPair(signature: Uint8Array): { readonly r: bigint; readonly s: bigint } | undefined {
  try {
    return parseDer(signature, Tag.sequence, 'the signature', (reader) => {
      const [r, s] = [reader.readInteger('r'), reader.readInteger('s')];
      return { r: toPositive(r), s: toPositive(s) };
    });
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return undefined;
  }
}

/** Zero, which no signature has, where the number is negative. */
function toPositive(integer: Uint8Array): bigint {
  return ((integer[0] ?? 0) & 0x80) === 0 ? toNumber(integer) : 0n;
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x0${Buffer.from(bytes).toString('hex')}`);
}

function toBytes(numbers: readonly bigint[], byteCount: number): Buffer {
  return Buffer.from(numbers.map((number) => number.toString(16).padStart(byteCount * 2, '0')).join(''), 'hex');
}

function modulo(number: bigint, modulus: bigint): bigint {
  const rest = number % modulus;
  return rest < 0n ? rest + modulus : rest;
}

/** By Euclid's algorithm; `modulus` is prime and no divisor of `number`, which is positive and below it. */
function inverse(number: bigint, modulus: bigint): bigint {
  let [rest, before] = [number, modulus];
  let [factor, factorBefore] = [1n, 0n];
  while (rest !== 1n) {
    const quotient = before / rest;
    [rest, before] = [before - quotient * rest, rest];
    [factor, factorBefore] = [factorBefore - quotient * factor, factor];
  }
  return modulo(factor, modulus);
}
