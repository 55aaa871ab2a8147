import { objectAttributes } from './object-attributes.ts';
import { isUsedAlike, type PublicArea } from './public-area.ts';

export type DevidKeyType = 'rsa-2048' | 'ec-p256';

const NONE = new Uint8Array(0);
const IN_THIS_TPM = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth'] as const;
const STORAGE = objectAttributes(...IN_THIS_TPM, 'noDA', 'restricted', 'decrypt');
const AES_128 = { algorithm: 'aes', keyBits: 128, mode: 'cfb' } as const;

/**
 * The storage keys below which SPIRE's agent looks for a DevID key of the same type: those of the TCG's provisioning guidance,
 * but for their unique field, which is empty.
 *
 * @see TCG TPM v2.0 Provisioning Guidance, §7.5.1
 */
export const DEVID_PARENT_TEMPLATES: Readonly<Record<PublicArea['type'], PublicArea>> = {
  rsa: {
    type: 'rsa',
    nameAlg: 'sha256',
    attributes: STORAGE,
    authPolicy: NONE,
    symmetric: AES_128,
    scheme: undefined,
    keyBits: 2048,
    exponent: 0,
    modulus: NONE,
  },
  ecc: {
    type: 'ecc',
    nameAlg: 'sha256',
    attributes: STORAGE,
    authPolicy: NONE,
    symmetric: AES_128,
    scheme: undefined,
    curve: 'p256',
    x: NONE,
    y: NONE,
  },
};

const DEVID_TEMPLATES: Readonly<Record<PublicArea['type'], readonly PublicArea[]>> = {
  rsa: templatesOf('rsa', 'rsa-2048'),
  ecc: templatesOf('ecc', 'ec-p256'),
};

/** A key that has a password counts wrong ones; one without is to work though the TPM is locked out. */
export function devidKeyTemplate(type: DevidKeyType, hasPassword: boolean): PublicArea {
  const attributes = objectAttributes(...IN_THIS_TPM, 'sign', ...(hasPassword ? [] : (['noDA'] as const)));
  const base = { nameAlg: 'sha256', attributes, authPolicy: NONE, symmetric: undefined } as const;
  return type === 'ec-p256'
    ? { ...base, type: 'ecc', scheme: { algorithm: 'ecdsa', hash: 'sha256' }, curve: 'p256', x: NONE, y: NONE }
    : {
        ...base,
        type: 'rsa',
        scheme: { algorithm: 'rsassa', hash: 'sha256' },
        keyBits: 2048,
        exponent: 0,
        modulus: NONE,
      };
}

/** Whether an object in a TPM may have been loaded for a DevID: of {@link DEVID_PARENT_TEMPLATES} or {@link devidKeyTemplate}. */
export function isOfDevidTemplate(area: PublicArea): boolean {
  return DEVID_TEMPLATES[area.type].some((template) => isUsedAlike(area, template));
}

function templatesOf(type: PublicArea['type'], keyType: DevidKeyType): readonly PublicArea[] {
  return [DEVID_PARENT_TEMPLATES[type], devidKeyTemplate(keyType, true), devidKeyTemplate(keyType, false)];
}
