import { createPublicKey, type KeyObject } from 'node:crypto';
import { encodePem } from '../x509/pem.ts';
import { requireCheck } from '../x509/require-check.ts';
import { isStrongHash } from './algorithms.ts';
import { nameOf } from './names.ts';
import { hasObjectAttribute, type ObjectAttribute } from './object-attributes.ts';
import { type PublicArea, parsePublic } from './public-area.ts';
import { spkiOfPublicArea } from './public-key.ts';
import type { SigningScheme } from './signature.ts';

/** A key that, if it lives in a TPM, signs nothing but what that TPM says. */
export interface AttestationKey {
  readonly publicArea: PublicArea;
  /** Computed here, from the public area as received. */
  readonly name: Uint8Array;
  readonly publicKey: KeyObject;
  readonly scheme: SigningScheme;
  readonly hash: 'sha256' | 'sha384' | 'sha512';
}

const REQUIRED: readonly ObjectAttribute[] = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign'];
const FORBIDDEN: readonly ObjectAttribute[] = ['decrypt', 'encryptedDuplication'];
const MIN_RSA_BITS = 2048;

/**
 * Takes the TPM2B_PUBLIC of an attestation key.
 *
 * @throws SpiffeError `TPM_DATA_INVALID` for bytes that are none, `ATTESTATION_DENIED` (B12, B13, B14) for a key that will not do
 */
export function requireAttestationKey(bytes: Uint8Array): AttestationKey {
  const [high = 0, low = 0] = bytes;
  requireCheck(
    'B13',
    bytes.length === 2 + high * 256 + low,
    `the public area of the attestation key says ${high * 256 + low} bytes, and ${bytes.length - 2} were sent`,
  );
  const publicArea = parsePublic(bytes);
  requireCheck(
    'B13',
    isStrongHash(publicArea.nameAlg),
    `the attestation key is named by ${publicArea.nameAlg}, SHA-256 or better is needed`,
  );
  for (const attribute of REQUIRED) {
    requireCheck(
      'B12',
      hasObjectAttribute(publicArea.attributes, attribute),
      `the attestation key lacks the attribute ${attribute}`,
    );
  }
  for (const attribute of FORBIDDEN) {
    requireCheck(
      'B12',
      !hasObjectAttribute(publicArea.attributes, attribute),
      `the attestation key has the attribute ${attribute}`,
    );
  }
  const { scheme } = publicArea;
  requireCheck(
    'B14',
    scheme?.algorithm === 'rsassa' || scheme?.algorithm === 'rsapss' || scheme?.algorithm === 'ecdsa',
    `the attestation key has the scheme ${scheme?.algorithm ?? 'null'}, RSASSA, RSAPSS or ECDSA is needed`,
  );
  requireCheck(
    'B14',
    scheme.hash !== undefined && isStrongHash(scheme.hash),
    `the attestation key signs with ${scheme.hash ?? 'no hash'}, SHA-256 or better is needed`,
  );
  requireCheck(
    'B14',
    isLargeEnough(publicArea),
    'the attestation key has to be RSA of 2048 bits or more, or lie on P-256, P-384 or P-521',
  );
  const publicKey = findPublicKey(publicArea);
  requireCheck('B14', publicKey !== undefined, 'the attestation key is no valid public key');
  return { publicArea, name: nameOf(publicArea), publicKey, scheme: scheme.algorithm, hash: scheme.hash };
}

function isLargeEnough(area: PublicArea): boolean {
  if (area.type === 'ecc') {
    return area.curve !== 'sm2';
  }
  return area.keyBits >= MIN_RSA_BITS && area.modulus.length * 8 === area.keyBits && (area.modulus[0] ?? 0) >= 0x80;
}

function findPublicKey(area: PublicArea): KeyObject | undefined {
  try {
    // As PEM: Node tries each object that it is given for a key of its own kinds, which takes longer than decoding.
    return createPublicKey(encodePem('PUBLIC KEY', spkiOfPublicArea(area)));
  } catch {
    return undefined;
  }
}
