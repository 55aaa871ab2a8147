import { objectAttributes } from './object-attributes.ts';
import { encodePublic, type PublicArea } from './public-area.ts';

export type AkTemplateName = 'ecc-p256' | 'rsa-2048';

const AK_ATTRIBUTES = objectAttributes(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'userWithAuth',
  'noDA',
  'restricted',
  'sign',
);
const NONE = new Uint8Array(0);

/** What an agent asks TPM2_Create for, below the endorsement key: restricted signing keys that never leave the TPM. */
export const AK_TEMPLATES: Readonly<Record<AkTemplateName, PublicArea>> = {
  'ecc-p256': {
    type: 'ecc',
    nameAlg: 'sha256',
    attributes: AK_ATTRIBUTES,
    authPolicy: NONE,
    symmetric: undefined,
    scheme: { algorithm: 'ecdsa', hash: 'sha256' },
    curve: 'p256',
    x: NONE,
    y: NONE,
  },
  'rsa-2048': {
    type: 'rsa',
    nameAlg: 'sha256',
    attributes: AK_ATTRIBUTES,
    authPolicy: NONE,
    symmetric: undefined,
    scheme: { algorithm: 'rsassa', hash: 'sha256' },
    keyBits: 2048,
    exponent: 0,
    modulus: NONE,
  },
};

/** The TPM2B_PUBLIC that TPM2_Create takes. */
export function encodeAkTemplate(name: AkTemplateName): Uint8Array {
  return encodePublic(AK_TEMPLATES[name]);
}
