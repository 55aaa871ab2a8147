import { constants, createHash, type KeyObject, verify } from 'node:crypto';
import {
  HashAlgorithm,
  type PublicKey,
  type SignDataRequest,
} from '../../../gen/spire/plugin/server/keymanager/v1/keymanager.ts';
import { quoteText } from '../../../spiffe/quote-text.ts';
import { publicKeyOfSpki } from '../../../x509/spki.ts';
import { expectAnswer } from '../outcome.ts';
import { requireThat } from '../rule.ts';
import { KEY_CALL, type KeyManagerClient } from './key-manager.ts';

/** Go's crypto.Hash by number, and what OpenSSL calls them. */
export const HASHES = [
  { algorithm: HashAlgorithm.SHA224, name: 'SHA224', digest: 'sha224' },
  { algorithm: HashAlgorithm.SHA256, name: 'SHA256', digest: 'sha256' },
  { algorithm: HashAlgorithm.SHA384, name: 'SHA384', digest: 'sha384' },
  { algorithm: HashAlgorithm.SHA512, name: 'SHA512', digest: 'sha512' },
  { algorithm: HashAlgorithm.SHA3_224, name: 'SHA3_224', digest: 'sha3-224' },
  { algorithm: HashAlgorithm.SHA3_256, name: 'SHA3_256', digest: 'sha3-256' },
  { algorithm: HashAlgorithm.SHA3_384, name: 'SHA3_384', digest: 'sha3-384' },
  { algorithm: HashAlgorithm.SHA3_512, name: 'SHA3_512', digest: 'sha3-512' },
  { algorithm: HashAlgorithm.SHA512_224, name: 'SHA512_224', digest: 'sha512-224' },
  { algorithm: HashAlgorithm.SHA512_256, name: 'SHA512_256', digest: 'sha512-256' },
] as const;
export type Hash = (typeof HASHES)[number];

/** As Go has it: -1 as long as the hash, 0 as long as fits, else octets. */
export const SALT_LENGTHS = [-1, 0, 20] as const;

/** How a key signs: ECDSA or PKCS #1 v1.5 by its type, or PSS. */
export type Scheme = { readonly scheme: 'default' } | { readonly scheme: 'pss'; readonly saltLength: number };

/**
 * Has a digest signed, and verifies the signature over the message by node:crypto.
 *
 * @throws Mismatch
 */
export async function requireSignature(
  client: KeyManagerClient,
  key: PublicKey,
  hash: Hash,
  scheme: Scheme,
  message = `a message for ${key.id}`,
): Promise<void> {
  const what = `${describeScheme(scheme)} with ${hash.name}`;
  const data = createHash(hash.digest).update(message).digest();
  const signerOpts = signerOptsOf(hash, scheme);
  const signing = client.signData({ keyId: key.id, data, signerOpts }, KEY_CALL);
  const { signature, keyFingerprint } = await expectAnswer(signing, `SignData, ${what}`);
  requireThat(signature.length > 0, `a signature, ${what}`, 'an empty one');
  const isSame = keyFingerprint === key.fingerprint;
  requireThat(isSame, `key_fingerprint ${quoteText(key.fingerprint)}`, quoteText(keyFingerprint));
  const publicKey = publicKeyOfSpki(key.pkixData);
  const isValid = verify(hash.digest, Buffer.from(message), paddingOf(publicKey, hash, scheme), signature);
  requireThat(isValid, `a signature that verifies, ${what}`, 'one that does not');
}

function signerOptsOf(hash: Hash, scheme: Scheme): SignDataRequest['signerOpts'] {
  if (scheme.scheme === 'default') return { $case: 'hashAlgorithm', value: hash.algorithm };
  return { $case: 'pssOptions', value: { saltLength: scheme.saltLength, hashAlgorithm: hash.algorithm } };
}

function paddingOf(key: KeyObject, hash: Hash, scheme: Scheme) {
  if (scheme.scheme === 'default') return { key, dsaEncoding: 'der' } as const;
  const hashBytes = createHash(hash.digest).digest().length;
  const modulusBytes = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  const longest = modulusBytes - hashBytes - 2; // RFC 8017 §9.1.1, with a modulus of whole octets
  const saltLength = scheme.saltLength === -1 ? hashBytes : scheme.saltLength === 0 ? longest : scheme.saltLength;
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
}

function describeScheme(scheme: Scheme): string {
  return scheme.scheme === 'default' ? 'ECDSA or PKCS #1 v1.5' : `PSS, salt_length ${scheme.saltLength},`;
}
