import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { SpiffeError } from '../../spiffe/error.ts';
import { requireCheck } from '../../x509/require-check.ts';

/** Policies come to a few KiB, with an allow list of all files of a machine to some MiB. */
export const MAX_POLICY_FILE_BYTES = 32 * 1024 * 1024;
const MAX_SIGNATURE_BYTES = 1_024;
/** By the curve, the hash that goes with it. */
const EC_HASHES: ReadonlyMap<string, string> = new Map([
  ['prime256v1', 'sha256'],
  ['secp384r1', 'sha384'],
  ['secp521r1', 'sha512'],
]);

export interface SignedPolicy {
  /** The policy in JSON as it was signed, or an envelope that holds it: `{"payload": "<base64>", "signature": "<base64>"}`. */
  readonly content: Uint8Array;
  /** Of a policy without an envelope: the signature, in bytes or base64. */
  readonly signature?: Uint8Array | undefined;
}

/**
 * Opens a policy file: nothing of it is read before the signature holds.
 *
 * @param publicKey Ed25519, or ECDSA on P-256, P-384 or P-521 with the hash of that size (signature in DER): as OpenSSL signs
 * @returns the policy as text, in JSON
 * @throws SpiffeError `ATTESTATION_DENIED` (P17)
 */
export function openSignedPolicy({ content, signature }: SignedPolicy, publicKey: KeyObject): string {
  requireCheck(
    'P17',
    content.length <= MAX_POLICY_FILE_BYTES,
    `the policy file has ${content.length} bytes, at most ${MAX_POLICY_FILE_BYTES} are read`,
  );
  const signed = signature === undefined ? readEnvelope(content) : { payload: content, signature: bytesOf(signature) };
  requireCheck(
    'P17',
    signed.signature.length <= MAX_SIGNATURE_BYTES && isSigned(publicKey, signed.payload, signed.signature),
    'the policy file was not signed by the pinned key, or was changed afterwards',
  );
  return Buffer.from(signed.payload).toString('utf8');
}

/**
 * A policy that was replaced does not come back.
 *
 * @param floor the highest version that was ever in force; 0 where none was
 * @throws SpiffeError `ATTESTATION_DENIED` (P18)
 */
export function requireVersion(version: number, floor: number): void {
  requireCheck(
    'P18',
    version >= floor,
    `the policy file has version ${version}, and version ${floor} was in force before: sign it with a higher one`,
  );
}

/** @throws SpiffeError `CONFIG_INVALID` for a key that policies are not signed with */
export function parsePolicyKey(pem: string): KeyObject {
  const key = readPublicKey(pem);
  const curve = key.asymmetricKeyDetails?.namedCurve ?? '';
  if (key.asymmetricKeyType === 'ed25519' || EC_HASHES.has(curve)) return key;
  throw new SpiffeError(
    'CONFIG_INVALID',
    `a policy is signed with Ed25519, or ECDSA on P-256, P-384 or P-521, not with ${key.asymmetricKeyType} ${curve}`.trimEnd(),
  );
}

function readPublicKey(pem: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw new SpiffeError('CONFIG_INVALID', 'the key of a policy is not a public key in PEM', { cause });
  }
}

/** What a policy is hashed with before this key signs it; null for Ed25519, which hashes by itself. */
export function policyHash({ asymmetricKeyDetails }: KeyObject): string | null {
  return EC_HASHES.get(asymmetricKeyDetails?.namedCurve ?? '') ?? null;
}

function isSigned(publicKey: KeyObject, payload: Uint8Array, signature: Uint8Array): boolean {
  return verify(policyHash(publicKey), payload, publicKey, signature);
}

function readEnvelope(content: Uint8Array): { readonly payload: Uint8Array; readonly signature: Uint8Array } {
  const { payload, signature, ...others } = parseObject(content);
  const isWhole = typeof payload === 'string' && typeof signature === 'string' && Object.keys(others).length === 0;
  requireCheck(
    'P17',
    isWhole,
    'the policy file is not signed: "payload" and "signature" in base64 are wanted, or a signature beside it',
  );
  return { payload: Buffer.from(payload, 'base64'), signature: Buffer.from(signature, 'base64') };
}

function parseObject(content: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(content).toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {}; // not JSON: not an envelope
  }
}

/** OpenSSL writes bytes, people base64. */
function bytesOf(signature: Uint8Array): Uint8Array {
  const text = Buffer.from(signature).toString('latin1').trim();
  return /^[A-Za-z0-9+/\s]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : signature;
}
