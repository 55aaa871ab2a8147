import { constants, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto';
import { SpiffeError } from '../spiffe/error.ts';
import { type DerReader, derInvalid, derNull, oid, sequence, Tag } from './der.ts';
import { OID } from './oids.ts';
import type { HashName, KeyType } from './signer.ts';

/** An AlgorithmIdentifier of a signature. `unknown` parses, so that a certificate can be looked at, but never verifies. */
export type SignatureAlgorithm = { readonly oid: string /** The whole element. */; readonly der: Uint8Array } & (
  | { readonly scheme: 'ecdsa' | 'rsaPkcs1'; readonly hash: HashName }
  | { readonly scheme: 'rsaPss'; readonly hash: HashName; readonly saltLength: number }
  | { readonly scheme: 'ed25519' | 'unknown' }
);

const ECDSA: Readonly<Record<string, HashName>> = {
  [OID.ecdsaWithSha256]: 'sha256',
  [OID.ecdsaWithSha384]: 'sha384',
  [OID.ecdsaWithSha512]: 'sha512',
};
const RSA_PKCS1: Readonly<Record<string, HashName>> = {
  [OID.sha256WithRsaEncryption]: 'sha256',
  [OID.sha384WithRsaEncryption]: 'sha384',
  [OID.sha512WithRsaEncryption]: 'sha512',
};
const HASHES: Readonly<Record<string, HashName>> = {
  [OID.sha256]: 'sha256',
  [OID.sha384]: 'sha384',
  [OID.sha512]: 'sha512',
};
const MAX_SALT_LENGTH = 512;

const ecdsaWithSha256 = sequence(oid(OID.ecdsaWithSha256)); // RFC 5758 §3.2: parameters absent
const ecdsaWithSha384 = sequence(oid(OID.ecdsaWithSha384));
const sha256WithRsaEncryption = sequence(oid(OID.sha256WithRsaEncryption), derNull()); // RFC 4055 §5: parameters NULL

/** The AlgorithmIdentifier element of what {@link signMessage} makes with a key of this type. */
export function signatureAlgorithmDer(keyType: KeyType): Uint8Array {
  switch (keyType) {
    case 'ec-p256':
      return ecdsaWithSha256;
    case 'ec-p384':
      return ecdsaWithSha384;
    case 'rsa-2048':
    case 'rsa-4096':
      return sha256WithRsaEncryption;
  }
}

/**
 * @throws SpiffeError `DER_INVALID` for parameters that do not belong to a known algorithm.
 * @see RFC 5758 §3.2, RFC 4055 §3.1 and §5, RFC 8410 §3
 */
export function readSignatureAlgorithm(reader: DerReader): SignatureAlgorithm {
  const der = reader.readRaw(Tag.sequence, 'the signature algorithm');
  const identifier = reader.nested(der).enter(Tag.sequence, 'the signature algorithm');
  const name = identifier.readOid('the signature algorithm');
  const base = { oid: name, der };
  const ecdsaHash = ECDSA[name];
  const rsaHash = RSA_PKCS1[name];
  if (ecdsaHash !== undefined || name === OID.ed25519) {
    identifier.requireEnd('a signature algorithm without parameters');
    return ecdsaHash === undefined ? { ...base, scheme: 'ed25519' } : { ...base, scheme: 'ecdsa', hash: ecdsaHash };
  }
  if (rsaHash !== undefined) {
    if (!identifier.isAtEnd) requireNull(identifier, 'the parameters of the signature algorithm');
    return { ...base, scheme: 'rsaPkcs1', hash: rsaHash };
  }
  if (name === OID.rsassaPss) return { ...base, scheme: 'rsaPss', ...readPssParameters(identifier) };
  return { ...base, scheme: 'unknown' };
}

/** RFC 4055 §3.1. Every default there means SHA-1, so what we take spells hash and mask out. */
function readPssParameters(identifier: DerReader): { hash: HashName; saltLength: number } {
  const parameters = identifier.enter(Tag.sequence, 'the RSASSA-PSS parameters');
  const hashField = parameters.enter(0xa0, 'the RSASSA-PSS hash');
  const hash = readHash(hashField);
  hashField.requireEnd('the RSASSA-PSS hash');
  const maskField = parameters.enter(0xa1, 'the RSASSA-PSS mask');
  const mask = maskField.enter(Tag.sequence, 'the RSASSA-PSS mask');
  maskField.requireEnd('the RSASSA-PSS mask');
  if (mask.readOid('the RSASSA-PSS mask') !== OID.mgf1) derInvalid('the RSASSA-PSS mask is not MGF1');
  if (readHash(mask) !== hash) derInvalid('the RSASSA-PSS mask has another hash than the signature');
  mask.requireEnd('the RSASSA-PSS mask');
  const saltField = parameters.enterOptional(0xa2, 'the RSASSA-PSS salt length');
  const saltLength = saltField?.readSmallInteger('the RSASSA-PSS salt length') ?? 20;
  saltField?.requireEnd('the RSASSA-PSS salt length');
  if (saltLength > MAX_SALT_LENGTH) derInvalid(`the RSASSA-PSS salt length ${saltLength} is above ${MAX_SALT_LENGTH}`);
  const trailer = parameters.enterOptional(0xa3, 'the RSASSA-PSS trailer');
  if (trailer && trailer.readSmallInteger('the RSASSA-PSS trailer') !== 1)
    derInvalid('the RSASSA-PSS trailer is not 1');
  trailer?.requireEnd('the RSASSA-PSS trailer');
  parameters.requireEnd('the RSASSA-PSS parameters');
  identifier.requireEnd('the signature algorithm');
  return { hash, saltLength };
}

function readHash(reader: DerReader): HashName {
  const identifier = reader.enter(Tag.sequence, 'the RSASSA-PSS hash');
  const name = identifier.readOid('the RSASSA-PSS hash');
  const hash = HASHES[name] ?? derInvalid(`RSASSA-PSS with hash ${name} is not supported, use SHA-256, 384 or 512`);
  if (!identifier.isAtEnd) requireNull(identifier, 'the parameters of the RSASSA-PSS hash');
  return hash;
}

function requireNull(reader: DerReader, what: string): void {
  if (reader.read(Tag.null, what).length !== 0) derInvalid(`${what} are no NULL`);
  reader.requireEnd(what);
}

/**
 * Tells whether `signature` over `message` is the key's. A key of another kind than the algorithm's is a `false`.
 *
 * @throws SpiffeError `DER_INVALID` for an algorithm that is unknown or too weak (SHA-1, MD5).
 */
export function verifySignature(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const check = checkOf(algorithm, key);
  try {
    return check !== undefined && verify(check.hash, message, check.key, signature);
  } catch (cause) {
    throw uncheckable(algorithm, cause);
  }
}

/**
 * As {@link verifySignature}, on a thread of libuv's pool: a P-256 signature takes longer than all else there is to do
 * for an SVID, and other calls go on meanwhile.
 */
export async function verifySignatureAside(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const check = checkOf(algorithm, key);
  if (check === undefined) return false;
  try {
    return await new Promise<boolean>((resolve, reject) => {
      verify(check.hash, message, check.key, signature, (error, isValid) => {
        if (error === null) resolve(isValid);
        else reject(error);
      });
    });
  } catch (cause) {
    throw uncheckable(algorithm, cause);
  }
}

interface SignatureCheck {
  readonly hash: HashName | null;
  readonly key: KeyObject | VerifyKeyObjectInput;
}

/** Nothing where the key is of another kind than the algorithm's. @throws SpiffeError `DER_INVALID` */
function checkOf(algorithm: SignatureAlgorithm, key: KeyObject): SignatureCheck | undefined {
  const { asymmetricKeyType: type } = key;
  switch (algorithm.scheme) {
    case 'unknown':
      return derInvalid(`signatures of algorithm ${algorithm.oid} are not accepted`);
    case 'ecdsa':
      return type === 'ec' ? { hash: algorithm.hash, key } : undefined;
    case 'ed25519':
      return type === 'ed25519' ? { hash: null, key } : undefined;
    case 'rsaPkcs1':
      return type === 'rsa' ? { hash: algorithm.hash, key } : undefined;
    case 'rsaPss': {
      if (type !== 'rsa' && type !== 'rsa-pss') return undefined;
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return { hash: algorithm.hash, key: { key, padding, saltLength: algorithm.saltLength } };
    }
  }
}

function uncheckable(algorithm: SignatureAlgorithm, cause: unknown): SpiffeError {
  return new SpiffeError('DER_INVALID', `a signature of algorithm ${algorithm.oid} cannot be checked`, { cause });
}
