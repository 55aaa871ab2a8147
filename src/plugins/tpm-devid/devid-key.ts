import { constants, type KeyObject, verify } from 'node:crypto';
import { isStrongHash, type StrongHash } from '../../tpm/algorithms.ts';
import { nameOf } from '../../tpm/names.ts';
import { hasObjectAttribute, type ObjectAttribute } from '../../tpm/object-attributes.ts';
import { type PublicArea, parsePublicArea } from '../../tpm/public-area.ts';
import { spkiOfPublicArea } from '../../tpm/public-key.ts';
import { hasRocaFingerprint } from '../../tpm/roca.ts';
import type { Certificate } from '../../x509/certificate.ts';
import { requireCheck } from '../../x509/require-check.ts';
import { canonicalSpki, publicKeyOfSpki } from '../../x509/spki.ts';

/** A key that cannot leave the TPM that made it, if it lives in one, and that a DevID certificate names. */
export interface DevidKey {
  /** Computed here, from the public area as received. */
  readonly name: Uint8Array;
  readonly publicKey: KeyObject;
  readonly scheme: 'rsassa' | 'rsapss' | 'ecdsa';
  readonly hash: StrongHash;
}

const REQUIRED: readonly ObjectAttribute[] = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'sign'];
const FORBIDDEN: readonly ObjectAttribute[] = ['decrypt', 'encryptedDuplication'];
const MIN_RSA_BITS = 2048;

/**
 * @param bytes TPMT_PUBLIC
 * @throws SpiffeError `TPM_DATA_INVALID` for bytes that are none, `ATTESTATION_DENIED` (B13, G47 to G49)
 */
export function requireDevidKey(bytes: Uint8Array, { subjectPublicKeyInfo }: Certificate): DevidKey {
  const area = parsePublicArea(bytes);
  const { nameAlg, scheme } = area;
  requireCheck('B13', isStrongHash(nameAlg), `the DevID key is named by ${nameAlg}, SHA-256 or better is needed`);
  for (const attribute of REQUIRED) {
    requireCheck(
      'G48',
      hasObjectAttribute(area.attributes, attribute),
      `the DevID key lacks the attribute ${attribute}`,
    );
  }
  for (const attribute of FORBIDDEN) {
    requireCheck(
      'G48',
      !hasObjectAttribute(area.attributes, attribute),
      `the DevID key has the attribute ${attribute}`,
    );
  }
  requireCheck(
    'G49',
    isLargeEnough(area),
    'the DevID key has to be RSA of 2048 bits or more and not of the ROCA kind (CVE-2017-15361), or lie on P-256, P-384 or P-521',
  );
  requireCheck(
    'G49',
    scheme?.algorithm === 'rsassa' || scheme?.algorithm === 'rsapss' || scheme?.algorithm === 'ecdsa',
    `the DevID key has the scheme ${scheme?.algorithm ?? 'null'}, RSASSA, RSAPSS or ECDSA is needed`,
  );
  requireCheck(
    'G49',
    scheme.hash !== undefined && isStrongHash(scheme.hash),
    `the DevID key signs with ${scheme.hash ?? 'no hash'}, SHA-256 or better is needed`,
  );
  requireCheck(
    'G47',
    Buffer.compare(spkiOfPublicArea(area), canonicalSpki(subjectPublicKeyInfo)) === 0,
    'the DevID certificate is for another key than the one in the TPM: do "devid_cert_path" and "devid_pub_path" belong together?',
  );
  const publicKey = publicKeyOfSpki(subjectPublicKeyInfo);
  return { name: nameOf(area), publicKey, scheme: scheme.algorithm, hash: scheme.hash };
}

/** @throws SpiffeError `ATTESTATION_DENIED` (G50) */
export function requireDevidSignature(key: DevidKey, nonce: Uint8Array, signature: Uint8Array): void {
  requireCheck(
    'G50',
    isSignature(key, nonce, signature),
    'the DevID key did not sign the nonce: the agent does not hold the key of the DevID certificate',
  );
}

function isSignature({ publicKey: key, scheme, hash }: DevidKey, nonce: Uint8Array, signature: Uint8Array): boolean {
  switch (scheme) {
    case 'ecdsa':
      return verify(hash, nonce, { key, dsaEncoding: 'der' }, signature);
    case 'rsassa':
      return verify(hash, nonce, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
    case 'rsapss': {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return verify(hash, nonce, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_AUTO }, signature);
    }
  }
}

function isLargeEnough(area: PublicArea): boolean {
  if (area.type === 'ecc') return area.curve !== 'sm2';
  const { modulus, keyBits } = area;
  const isFull = modulus.length * 8 === keyBits && (modulus[0] ?? 0) >= 0x80;
  return keyBits >= MIN_RSA_BITS && isFull && !hasRocaFingerprint(modulus);
}
