import { constants, createPublicKey, type KeyObject, publicDecrypt, verify, X509Certificate } from 'node:crypto';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { type PublicKeyInfo, parseSpki, subjectKeyIdOfSpki } from '../../x509/spki.ts';
import { isDigestSignedByEc } from './ecdsa-digest.ts';

/** A key that files are signed with (`evmctl ima_sign`). */
export interface ImaKey {
  readonly publicKey: KeyObject;
  readonly info: PublicKeyInfo;
  /** Last four bytes of the SHA-1 of the key or of the certificate's subject key identifier, in hex: a hint, not proof. */
  readonly ids: ReadonlySet<string>;
}

/** A file's digest, `sha256:<hex>` or `verity:sha256:<hex>`, and its `security.ima`. */
export interface SignedFile {
  readonly digest: string;
  readonly signature: Uint8Array;
}

/** `enum hash_algo` of Linux, include/uapi/linux/hash_info.h, with the object identifier in a DigestInfo (RFC 8017 §9.2). */
const HASHES: ReadonlyMap<number, { readonly name: string; readonly size: number; readonly prefix: Buffer }> = new Map(
  (
    [
      [2, 'sha1', 20, '3021300906052b0e03021a05000414'],
      [4, 'sha256', 32, '3031300d060960864801650304020105000420'],
      [5, 'sha384', 48, '3041300d060960864801650304020205000430'],
      [6, 'sha512', 64, '3051300d060960864801650304020305000440'],
    ] as const
  ).map(([id, name, size, prefix]) => [id, { name, size, prefix: Buffer.from(prefix, 'hex') }]),
);
const PLAIN = { type: 3, version: 2 } as const;
const VERITY = { type: 6, version: 3 } as const;
const HEADER_BYTES = 9;
const KEY_ID_BYTES = 4;
const MIN_RSA_BITS = 2048;

/**
 * @param pem a certificate or a public key: RSA of 2048 bits or more, P-256, P-384 or P-521
 * @throws SpiffeError `CONFIG_INVALID`
 */
export function parseImaKey(pem: string): ImaKey {
  const { publicKey, keyId } = readKey(pem);
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  const info = findKeyInfo(spki);
  if (info === undefined) {
    const { modulusLength, namedCurve } = publicKey.asymmetricKeyDetails ?? {};
    const which = [
      publicKey.asymmetricKeyType,
      modulusLength === undefined ? undefined : `of ${modulusLength} bits`,
      namedCurve,
    ];
    throw new SpiffeError(
      'CONFIG_INVALID',
      `a key for IMA has to be RSA of 2048 bits or more, or on P-256, P-384 or P-521; this is ${which.filter((word) => word !== undefined).join(' ')}`,
    );
  }
  const own = Buffer.from(subjectKeyIdOfSpki(spki)).toString('hex');
  return {
    publicKey,
    info,
    ids: new Set([own, ...(keyId === undefined ? [] : [keyId])].map((id) => id.slice(-2 * KEY_ID_BYTES))),
  };
}

/** Undefined for a key that signs no files. */
function findKeyInfo(spki: Uint8Array): PublicKeyInfo | undefined {
  try {
    const info = parseSpki(spki);
    return info.type === 'ec' || (info.type === 'rsa' && info.modulusBits >= MIN_RSA_BITS) ? info : undefined;
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return undefined;
  }
}

/** Whether a key signed the digest of this very file, by the key's ID. */
export function isSignedBy({ publicKey, info, ids }: ImaKey, { digest, signature }: SignedFile): boolean {
  if (signature.length <= HEADER_BYTES) return false;
  const bytes = Buffer.from(signature);
  const [type, version, hashId] = [bytes[0], bytes[1], bytes[2] ?? 0];
  const own = HASHES.get(hashId);
  const value = bytes.subarray(HEADER_BYTES);
  const isOfKey = ids.has(bytes.toString('hex', 3, 3 + KEY_ID_BYTES)) && bytes.readUInt16BE(7) === value.length;
  if (own === undefined || !isOfKey) return false;
  if (type === PLAIN.type && version === PLAIN.version) {
    const wanted = digestOf(digest, own.name);
    if (wanted?.length !== own.size) return false;
    if (info.type === 'ec') return isDigestSignedByEc(info, wanted, value);
    return isDigestSigned(publicKey, value, Buffer.concat([own.prefix, wanted]));
  }
  if (type === VERITY.type && version === VERITY.version && digest.startsWith('verity:')) {
    const wanted = digestOf(digest.slice('verity:'.length), own.name);
    return (
      wanted !== undefined &&
      verify(own.name, Buffer.concat([Buffer.of(VERITY.type, hashId), wanted]), publicKey, value)
    );
  }
  return false;
}

/** The kernel signs a digest as it is; `verify` would hash it again. */
function isDigestSigned(publicKey: KeyObject, signature: Uint8Array, digestInfo: Uint8Array): boolean {
  try {
    const found = publicDecrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, signature);
    return Buffer.compare(found, digestInfo) === 0;
  } catch {
    return false; // what cannot be opened with the key was not made with it
  }
}

function digestOf(text: string, algorithm: string): Buffer | undefined {
  const [name, hex = ''] = text.split(':');
  return name === algorithm ? Buffer.from(hex, 'hex') : undefined;
}

function readKey(pem: string): { readonly publicKey: KeyObject; readonly keyId: string | undefined } {
  try {
    if (!pem.includes('BEGIN CERTIFICATE')) return { publicKey: createPublicKey(pem), keyId: undefined };
    const { publicKey, raw } = new X509Certificate(pem);
    const { subjectKeyId } = parseCertificate(raw);
    return { publicKey, keyId: subjectKeyId && Buffer.from(subjectKeyId).toString('hex') };
  } catch (cause) {
    throw new SpiffeError('CONFIG_INVALID', 'a key for IMA is neither a certificate nor a public key in PEM', {
      cause,
    });
  }
}
