import type { KeyType } from '../x509/signer.ts';
import { objectAttributes } from './object-attributes.ts';
import type { PublicArea } from './public-area.ts';

const NONE = new Uint8Array(0);
const IN_THIS_TPM = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'noDA'] as const;
const EC_KEY = objectAttributes(...IN_THIS_TPM, 'sign');
/** With `decrypt` the TPM computes without a padding, so that every one can be had: docs/plugins/tpm-keys.md. */
const RSA_KEY = objectAttributes(...IN_THIS_TPM, 'sign', 'decrypt');

/**
 * The storage root key on P-256, by which most systems know it: the same template gives the same key until the TPM is cleared.
 *
 * @see TCG TPM v2.0 Provisioning Guidance, §7.5.1
 */
export const STORAGE_KEY_TEMPLATE: PublicArea = {
  type: 'ecc',
  nameAlg: 'sha256',
  attributes: objectAttributes(...IN_THIS_TPM, 'restricted', 'decrypt'),
  authPolicy: NONE,
  symmetric: { algorithm: 'aes', keyBits: 128, mode: 'cfb' },
  scheme: undefined,
  curve: 'p256',
  x: new Uint8Array(32),
  y: new Uint8Array(32),
};

/** Keys that sign what they are asked to, and never leave their TPM. */
export const KEY_TEMPLATES: Readonly<Record<KeyType, PublicArea>> = {
  'ec-p256': ecTemplate('p256'),
  'ec-p384': ecTemplate('p384'),
  'rsa-2048': rsaTemplate(2048),
  'rsa-4096': rsaTemplate(4096),
};

/** Whether a key may have been made from one of {@link KEY_TEMPLATES} or {@link STORAGE_KEY_TEMPLATE}. */
export function isOfKeyTemplate(area: PublicArea): boolean {
  const templates = [...Object.values(KEY_TEMPLATES), STORAGE_KEY_TEMPLATE];
  return templates.some((template) => isOfTemplate(area, template));
}

export function isStorageKey(area: PublicArea): boolean {
  return isOfTemplate(area, STORAGE_KEY_TEMPLATE);
}

function isOfTemplate(area: PublicArea, template: PublicArea): boolean {
  return (
    area.attributes === template.attributes &&
    area.nameAlg === template.nameAlg &&
    area.authPolicy.length === 0 &&
    area.scheme === undefined &&
    area.symmetric?.keyBits === template.symmetric?.keyBits &&
    area.symmetric?.algorithm === template.symmetric?.algorithm &&
    (area.type === 'ecc'
      ? template.type === 'ecc' && area.curve === template.curve
      : template.type === 'rsa' && area.keyBits === template.keyBits)
  );
}

function ecTemplate(curve: 'p256' | 'p384'): PublicArea {
  return {
    type: 'ecc',
    nameAlg: 'sha256',
    attributes: EC_KEY,
    authPolicy: NONE,
    symmetric: undefined,
    scheme: undefined,
    curve,
    x: NONE,
    y: NONE,
  };
}

function rsaTemplate(keyBits: number): PublicArea {
  return {
    type: 'rsa',
    nameAlg: 'sha256',
    attributes: RSA_KEY,
    authPolicy: NONE,
    symmetric: undefined,
    scheme: undefined,
    keyBits,
    exponent: 0,
    modulus: NONE,
  };
}
