import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { SpiffeError } from '../spiffe/error.ts';
import { oid } from '../x509/der.ts';
import { OID } from '../x509/oids.ts';
import { parseSpki } from '../x509/spki.ts';

/** A curve that keys of ours are on. */
export interface Curve {
  /** CKA_EC_PARAMS: the DER of its object identifier. */
  readonly parameters: Uint8Array;
  /** Of a coordinate, and of the order, in bytes. */
  readonly size: number;
  /** As a JSON Web Key names it. */
  readonly name: string;
}

export const CURVES = {
  'ec-p256': { parameters: oid(OID.secp256r1), size: 32, name: 'P-256' },
  'ec-p384': { parameters: oid(OID.secp384r1), size: 48, name: 'P-384' },
} as const satisfies Readonly<Record<string, Curve>>;

const UNCOMPRESSED = 0x04;
const OCTET_STRING = 0x04;

/**
 * @param parameters CKA_EC_PARAMS
 * @param point CKA_EC_POINT: the DER of an OCTET STRING around the point; some modules leave that away
 * @returns SubjectPublicKeyInfo, DER
 * @throws SpiffeError `FAILED_PRECONDITION` for another curve, or what is no point on it
 */
export function spkiOfEcPoint(parameters: Uint8Array, point: Uint8Array): Uint8Array {
  const curve = Object.values(CURVES).find((one) => Buffer.compare(one.parameters, parameters) === 0);
  if (curve === undefined) throw unusable('is on a curve that is neither P-256 nor P-384');
  const { size, name } = curve;
  const bytes = unwrapped(point, 1 + 2 * size);
  if (bytes?.[0] !== UNCOMPRESSED) throw unusable(`has no uncompressed point of ${name} as its CKA_EC_POINT`);
  const [x, y] = [bytes.subarray(1, 1 + size), bytes.subarray(1 + size)];
  return spkiOf({ kty: 'EC', crv: name, x: base64Url(x), y: base64Url(y) });
}

/** @returns SubjectPublicKeyInfo, DER. @throws SpiffeError `FAILED_PRECONDITION` */
export function spkiOfRsa(modulus: Uint8Array, publicExponent: Uint8Array): Uint8Array {
  return spkiOf({ kty: 'RSA', n: base64Url(withoutZeros(modulus)), e: base64Url(withoutZeros(publicExponent)) });
}

/** The point itself; undefined where it is of another length. Both forms begin with the same byte, so the length tells. */
function unwrapped(point: Uint8Array, length: number): Uint8Array | undefined {
  if (point.length === length) return point;
  const isWrapped = point.length === length + 2 && point[0] === OCTET_STRING && point[1] === length;
  return isWrapped ? point.subarray(2) : undefined;
}

function withoutZeros(number: Uint8Array): Uint8Array {
  const first = number.findIndex((byte) => byte !== 0);
  return first < 0 ? number.subarray(0, 0) : number.subarray(first);
}

const base64Url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

function spkiOf(key: JsonWebKey): Uint8Array {
  try {
    const spki = new Uint8Array(createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'der' }));
    parseSpki(spki); // OpenSSL takes an RSA key without a modulus
    return spki;
  } catch (cause) {
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `the token has a public key that ${WRONG[key.kty ?? ''] ?? 'is none'}`,
      {
        cause,
      },
    );
  }
}

const WRONG: Readonly<Record<string, string>> = {
  EC: 'is no point on its curve',
  RSA: 'is no RSA key',
};

function unusable(what: string): SpiffeError {
  return new SpiffeError('FAILED_PRECONDITION', `the token has a public key that ${what}`);
}
