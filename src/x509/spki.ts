import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { SpiffeError } from '../spiffe/error.ts';
import { bitString, DerReader, derInvalid, derNull, oid, parseDer, sequence, Tag } from './der.ts';
import { OID } from './oids.ts';
import { encodePem } from './pem.ts';
import type { KeyType } from './signer.ts';

export type EcCurve = 'P-256' | 'P-384' | 'P-521';

/** What a SubjectPublicKeyInfo holds. */
export type PublicKeyInfo =
  | { readonly type: 'ec'; readonly curve: EcCurve /** 04 ‖ X ‖ Y */; readonly point: Uint8Array }
  | {
      readonly type: 'rsa';
      /** `rsaesOaep` is how some TPM vendors mark an EK; such a key does not verify signatures. */
      readonly algorithm: 'rsaEncryption' | 'rsaesOaep' | 'rsassaPss';
      /** Big-endian, without sign octet. */
      readonly modulus: Uint8Array;
      readonly modulusBits: number;
      /** Big-endian, without sign octet. */
      readonly exponent: Uint8Array;
    }
  | { readonly type: 'ed25519'; readonly bytes: Uint8Array };

const CURVES: Readonly<Record<string, { readonly curve: EcCurve; readonly pointLength: number }>> = {
  [OID.secp256r1]: { curve: 'P-256', pointLength: 65 },
  [OID.secp384r1]: { curve: 'P-384', pointLength: 97 },
  [OID.secp521r1]: { curve: 'P-521', pointLength: 133 },
};
const RSA_ALGORITHMS = {
  [OID.rsaEncryption]: 'rsaEncryption',
  [OID.rsaesOaep]: 'rsaesOaep',
  [OID.rsassaPss]: 'rsassaPss',
} as const;
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;
const MAX_SPKI_LENGTH = 4096;

interface RawSpki {
  readonly algorithm: string;
  /** The element in `parameters`, where there is one. */
  readonly parameters?: Uint8Array;
  readonly subjectPublicKey: Uint8Array;
}

/** The parts of a SubjectPublicKeyInfo, whatever the algorithm: RFC 5280 §4.1. @throws SpiffeError `DER_INVALID` */
export function parseRawSpki(spki: Uint8Array): RawSpki {
  const read = (reader: DerReader): RawSpki => {
    const identifier = reader.enter(Tag.sequence, 'the algorithm of the public key');
    const algorithm = identifier.readOid('the algorithm of the public key');
    const parameters = identifier.isAtEnd ? undefined : identifier.readElement('the parameters of the public key').der;
    identifier.requireEnd('the algorithm of the public key');
    const subjectPublicKey = reader.readOctetsInBitString('the public key');
    return { algorithm, ...(parameters && { parameters }), subjectPublicKey };
  };
  return parseDer(spki, Tag.sequence, 'SubjectPublicKeyInfo', read, MAX_SPKI_LENGTH);
}

/**
 * @throws SpiffeError `DER_INVALID` for another algorithm, a named curve other than P-256, P-384 and P-521, a compressed
 * point, or RSA integers that are not positive. Size and exponent of an RSA key are not judged here.
 * @see RFC 5480 §2.1, §2.2; RFC 4055 §1.2, §4.1; RFC 8410 §4
 */
export function parseSpki(spki: Uint8Array): PublicKeyInfo {
  const { algorithm, parameters, subjectPublicKey } = parseRawSpki(spki);
  if (algorithm === OID.ecPublicKey) return parseEc(parameters, subjectPublicKey);
  if (algorithm === OID.ed25519) {
    if (parameters !== undefined || subjectPublicKey.length !== 32) derInvalid('the Ed25519 public key is malformed');
    return { type: 'ed25519', bytes: subjectPublicKey };
  }
  if (!isRsaAlgorithm(algorithm)) derInvalid(`public keys of algorithm ${algorithm} are not supported`);
  if (algorithm === OID.rsaEncryption && !(parameters && Buffer.from(derNull()).equals(parameters))) {
    derInvalid('the parameters of an rsaEncryption key are not NULL');
  }
  const integers = parseDer(subjectPublicKey, Tag.sequence, 'RSAPublicKey', (reader) => ({
    modulus: positive(reader.readInteger('the modulus'), 'the modulus'),
    exponent: positive(reader.readInteger('the exponent'), 'the exponent'),
  }));
  const modulusBits = integers.modulus.length * 8 - Math.clz32(integers.modulus[0] ?? 0) + 24;
  return { type: 'rsa', algorithm: RSA_ALGORITHMS[algorithm], ...integers, modulusBits };
}

function parseEc(parameters: Uint8Array | undefined, point: Uint8Array): PublicKeyInfo {
  if (parameters === undefined) derInvalid('the EC public key names no curve');
  const reader = new DerReader(parameters);
  const name = reader.readOid('the curve of the public key');
  const known = CURVES[name];
  if (known === undefined) derInvalid(`curve ${name} is not supported, use P-256, P-384 or P-521`);
  if (point[0] !== 0x04 || point.length !== known.pointLength) {
    derInvalid(`the ${known.curve} public key is no uncompressed point of ${known.pointLength} octets`);
  }
  return { type: 'ec', curve: known.curve, point };
}

const isRsaAlgorithm = (algorithm: string): algorithm is keyof typeof RSA_ALGORITHMS =>
  Object.hasOwn(RSA_ALGORITHMS, algorithm);

function positive(integer: Uint8Array, what: string): Uint8Array {
  const [first = 0] = integer;
  const magnitude = first === 0 ? integer.subarray(1) : integer;
  if (first >= 0x80 || magnitude.length === 0) derInvalid(`${what} of the RSA key is not positive`);
  return magnitude;
}

/** @throws SpiffeError `ARGUMENT_INVALID` for a key that a key manager does not make. */
export function keyTypeOfSpki(spki: Uint8Array): KeyType {
  const key = parseSpki(spki);
  if (key.type === 'ec' && key.curve === 'P-256') return 'ec-p256';
  if (key.type === 'ec' && key.curve === 'P-384') return 'ec-p384';
  if (key.type === 'rsa' && key.algorithm === 'rsaEncryption' && key.modulusBits === 2048) return 'rsa-2048';
  if (key.type === 'rsa' && key.algorithm === 'rsaEncryption' && key.modulusBits === 4096) return 'rsa-4096';
  throw new SpiffeError('ARGUMENT_INVALID', 'the key is not EC P-256, EC P-384, RSA 2048 or RSA 4096');
}

/**
 * The same RSA key as rsaEncryption with NULL parameters, so that one key has one encoding; other keys come back
 * re-encoded from what was parsed, too.
 *
 * @throws SpiffeError `DER_INVALID`
 */
export function canonicalSpki(spki: Uint8Array): Uint8Array {
  const { type } = parseSpki(spki);
  const { algorithm, parameters, subjectPublicKey } = parseRawSpki(spki);
  if (type === 'rsa') return sequence(sequence(oid(OID.rsaEncryption), derNull()), bitString(subjectPublicKey));
  return sequence(sequence(oid(algorithm), ...(parameters ? [parameters] : [])), bitString(subjectPublicKey));
}

/**
 * A key that may verify or be certified: a point on its curve, RSA of 2048 to 8192 bits with an odd modulus and
 * an odd exponent from 3 to 2³²−1.
 *
 * @throws SpiffeError `DER_INVALID`
 */
export function publicKeyOfSpki(spki: Uint8Array): KeyObject {
  const key = parseSpki(spki);
  if (key.type === 'rsa') requireSoundRsa(key.modulus, key.modulusBits, key.exponent);
  try {
    // As PEM: Node tries each object that it is given for a key of its own kinds, which takes longer than decoding.
    return createPublicKey(encodePem('PUBLIC KEY', canonicalKeepingPss(spki, key)));
  } catch (cause) {
    throw new SpiffeError('DER_INVALID', 'the public key is no valid key', { cause });
  }
}

function canonicalKeepingPss(spki: Uint8Array, key: PublicKeyInfo): Uint8Array {
  return key.type === 'rsa' && key.algorithm === 'rsaesOaep' ? canonicalSpki(spki) : spki;
}

function requireSoundRsa(modulus: Uint8Array, bits: number, exponent: Uint8Array): void {
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
    derInvalid(`the RSA key has ${bits} bits, not ${MIN_RSA_BITS} to ${MAX_RSA_BITS}`);
  }
  const isOdd = (integer: Uint8Array) => ((integer.at(-1) ?? 0) & 1) === 1;
  if (!isOdd(modulus)) derInvalid('the modulus of the RSA key is even');
  if (exponent.length > 4 || !isOdd(exponent) || (exponent.length === 1 && exponent[0] === 1)) {
    derInvalid('the exponent of the RSA key is not an odd number from 3 to 4294967295');
  }
}

/** SHA-1 over the content of `subjectPublicKey`: RFC 5280 §4.2.1.2 (1). An identifier, no protection. */
export function subjectKeyIdOfSpki(spki: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha1', parseRawSpki(spki).subjectPublicKey, 'buffer'));
}
