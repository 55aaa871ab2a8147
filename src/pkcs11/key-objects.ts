import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto';
import type { CkHandle } from '../addon/pkcs11-addon.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { hashOfKeyType, type KeyType } from '../x509/signer.ts';
import { CryptokiError, isGone, isNotOffered } from './cryptoki-error.ts';
import { type KeyPairTemplate, keyPairTemplates } from './key-templates.ts';
import { CKA, CKK, CKO } from './numbers.ts';
import type { KeyName, ListedKey, SignatureScheme } from './protocol.ts';
import { spkiOfEcPoint, spkiOfRsa } from './public-key.ts';
import { SIGNATURE_BYTES, toSignature, waysToSign } from './signing.ts';
import { privateKeyOf, publicKeyOf, type TokenSession } from './token-session.ts';

const TRUE = 1;

type KeyPair = ReturnType<TokenSession['generateKeyPair']>;

/** Errors of a template with an attribute that the module does not know, or does not let us set. */
const OF_TEMPLATE: readonly string[] = [
  'CKR_ATTRIBUTE_TYPE_INVALID',
  'CKR_ATTRIBUTE_VALUE_INVALID',
  'CKR_ATTRIBUTE_READ_ONLY',
  'CKR_TEMPLATE_INCONSISTENT',
];

/** The keys whose label begins with `prefix`, also where one of their two objects is missing. @throws CryptokiError */
export function listKeys(session: TokenSession, prefix: string): readonly ListedKey[] {
  session.requireLoggedIn();
  const keys = new Map<string, ListedKey>();
  for (const [objectClass, isPrivate] of [
    [CKO.privateKey, true],
    [CKO.publicKey, false],
  ] as const) {
    const template = [
      { type: CKA.class, value: objectClass },
      { type: CKA.token, value: true },
    ];
    for (const object of session.find(template)) {
      const name = readName(session, object);
      if (!name?.label.startsWith(prefix)) continue;
      const at = `${Buffer.from(name.ckaId).toString('hex')} ${name.label}`;
      const known = keys.get(at) ?? { ...name, hasPrivateKey: false, publicKey: undefined };
      const found = isPrivate ? { hasPrivateKey: true } : { publicKey: readPublicKey(session, object) };
      keys.set(at, { ...known, ...found });
    }
  }
  return [...keys.values()];
}

/**
 * A new key that nobody can read out of the token, and that has signed once.
 *
 * @returns SubjectPublicKeyInfo, DER
 * @throws CryptokiError
 * @throws SpiffeError `FAILED_PRECONDITION`; what there is of the key is to be destroyed then
 */
export function generateKey(session: TokenSession, name: KeyName, type: KeyType): Uint8Array {
  const pair = generatePair(session, name, type);
  requireNotReadable(session, pair.privateKey);
  const publicKey = readPublicKey(session, pair.publicKey);
  requireWorking(session, pair.privateKey, { type, publicKey });
  return publicKey;
}

/** What there is of a key; the private part goes first, so that half of a key is never one that signs. */
export function destroyKey(session: TokenSession, name: KeyName): void {
  session.forget(name);
  for (const object of [...session.find(privateKeyOf(name)), ...session.find(publicKeyOf(name))])
    session.destroy(object);
}

/** @returns undefined where the token has no such key. @throws CryptokiError, SpiffeError */
export function sign(
  session: TokenSession,
  name: KeyName,
  { type, digest, how }: { readonly type: KeyType; readonly digest: Uint8Array; readonly how: SignatureScheme },
): Uint8Array | undefined {
  const key = session.findPrivateKey(name);
  if (key === undefined) return undefined;
  try {
    return signWith(session, key, { type, digest, how });
  } catch (error) {
    if (!(error instanceof CryptokiError && isGone(error))) throw error;
    session.forget(name);
    const again = session.findPrivateKey(name);
    return again && signWith(session, again, { type, digest, how });
  }
}

function generatePair(session: TokenSession, name: KeyName, type: KeyType): KeyPair {
  const [strict, plain] = keyPairTemplates(type, name);
  try {
    return generateBy(session, strict);
  } catch (error) {
    if (!(error instanceof CryptokiError && OF_TEMPLATE.includes(error.returned))) throw notMade(error, type);
  }
  try {
    return generateBy(session, plain);
  } catch (error) {
    throw notMade(error, type);
  }
}

function generateBy(session: TokenSession, { mechanism, publicKey, privateKey }: KeyPairTemplate): KeyPair {
  return session.generateKeyPair(mechanism, publicKey, privateKey);
}

function notMade(error: unknown, type: KeyType): unknown {
  if (!(error instanceof CryptokiError)) return error;
  const { returned, message } = error;
  const isUnknown = isNotOffered(error) || /^CKR_(DOMAIN_PARAMS_INVALID|KEY_SIZE_RANGE)$/.test(returned);
  if (!isUnknown) return error;
  const advice = 'choose another type of key, or another token';
  return new SpiffeError('FAILED_PRECONDITION', `the token makes no keys of type ${type} (${message}): ${advice}`);
}

function requireNotReadable(session: TokenSession, privateKey: CkHandle): void {
  const [sensitive, extractable] = session.read(privateKey, CKA.sensitive, CKA.extractable);
  if (sensitive?.[0] === TRUE && extractable?.[0] !== TRUE) return;
  throw new SpiffeError('FAILED_PRECONDITION', 'the token made a key that can be read out of it, which is of no use');
}

function requireWorking(
  session: TokenSession,
  privateKey: CkHandle,
  { type, publicKey }: { readonly type: KeyType; readonly publicKey: Uint8Array },
): void {
  const message = randomBytes(32);
  const hash = hashOfKeyType(type);
  const scheme = type === 'rsa-2048' || type === 'rsa-4096' ? 'rsa-pkcs1' : 'ecdsa';
  const digest = createHash(hash).update(message).digest();
  const signature = signWith(session, privateKey, { type, digest, how: { scheme, hash } });
  const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  if (verify(hash, message, key, signature)) return;
  throw new SpiffeError('FAILED_PRECONDITION', `the token made a key of type ${type} whose signature is wrong`);
}

function signWith(
  session: TokenSession,
  key: CkHandle,
  { type, digest, how }: { readonly type: KeyType; readonly digest: Uint8Array; readonly how: SignatureScheme },
): Uint8Array {
  const refusals: string[] = [];
  for (const way of waysToSign(type, digest, how)) {
    const { mechanism, data } = way();
    try {
      return toSignature(type, session.sign(key, mechanism, data, SIGNATURE_BYTES[type]));
    } catch (error) {
      if (!(error instanceof CryptokiError && isNotOffered(error))) throw error;
      refusals.push(error.message);
    }
  }
  const asked =
    how.scheme === 'rsa-pss' ? `${how.scheme}, ${how.hash} and a salt of ${how.saltLength} bytes` : how.scheme;
  const message = `the token does not sign by ${asked} with a key of type ${type}: ${refusals.join(', then ')}`;
  throw new SpiffeError('FAILED_PRECONDITION', message);
}

/** Nothing where somebody removed the object meanwhile, or it is of a kind that has no name. */
function readName(session: TokenSession, object: CkHandle): KeyName | undefined {
  try {
    const [label, ckaId] = session.read(object, CKA.label, CKA.id);
    return { label: label?.toString('utf8') ?? '', ckaId: new Uint8Array(ckaId ?? []) };
  } catch (error) {
    if (error instanceof CryptokiError && (isGone(error) || error.returned === 'CKR_ATTRIBUTE_TYPE_INVALID')) return;
    throw error;
  }
}

function readPublicKey(session: TokenSession, object: CkHandle): Uint8Array {
  const [keyType] = session.read(object, CKA.keyType);
  if (keyType?.[0] === CKK.rsa) {
    const [modulus, exponent] = session.read(object, CKA.modulus, CKA.publicExponent);
    return spkiOfRsa(modulus ?? new Uint8Array(), exponent ?? new Uint8Array());
  }
  const [parameters, point] = session.read(object, CKA.ecParams, CKA.ecPoint);
  return spkiOfEcPoint(parameters ?? new Uint8Array(), point ?? new Uint8Array());
}
