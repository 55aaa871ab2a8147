import type { TpmCurve, TpmHash } from './algorithms.ts';
import { objectAttributes } from './object-attributes.ts';
import { encodePublic, encodePublicArea, type PublicArea, type SymmetricDefinition } from './public-area.ts';

/** Names of the TCG EK Credential Profile 2.5, appendix B.3 (low range) and B.4 (high range). */
export type EkTemplateName = 'L-1' | 'L-2' | 'H-1' | 'H-2' | 'H-3' | 'H-4' | 'H-5' | 'H-6' | 'H-7';

export interface EkTemplate {
  readonly name: EkTemplateName;
  /** Where the certificate lies in NV: profile, §2.2.1.4 and §2.2.1.5. */
  readonly certificateNvIndex: number;
  /** Low-range keys are used under PolicySecret(endorsement), high-range ones with their empty authorization as well. */
  readonly range: 'low' | 'high';
  /** Everything that the template fixes, and the unique field that TPM2_CreatePrimary gets. */
  readonly publicArea: PublicArea;
}

/** PolicySecret(TPM_RH_ENDORSEMENT): profile, §B.6.2. */
const POLICY_A_SHA256 = fromHex('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa');
/** PolicyOR(PolicyA, PolicyAuthorizeNV of the index for the digest): profile, §B.6.5. */
const POLICY_B = {
  sha256: fromHex('ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0'),
  sha384: fromHex('b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12'),
  sha512: fromHex(
    'b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a4' +
      '29c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea',
  ),
  sm3: fromHex('167860a35f2c5c3567f9c927ac56c032f3b3a6462f8d037998e7a10f77fa454a'),
};

const LOW_ATTRIBUTES = objectAttributes(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'adminWithPolicy',
  'restricted',
  'decrypt',
);
const HIGH_ATTRIBUTES = LOW_ATTRIBUTES | objectAttributes('userWithAuth');
const AES_128: SymmetricDefinition = { algorithm: 'aes', keyBits: 128, mode: 'cfb' };
const AES_256: SymmetricDefinition = { algorithm: 'aes', keyBits: 256, mode: 'cfb' };
const SM4_128: SymmetricDefinition = { algorithm: 'sm4', keyBits: 128, mode: 'cfb' };

export const EK_TEMPLATES: readonly EkTemplate[] = [
  {
    name: 'L-1',
    certificateNvIndex: 0x01c00002,
    range: 'low',
    publicArea: {
      type: 'rsa',
      nameAlg: 'sha256',
      attributes: LOW_ATTRIBUTES,
      authPolicy: POLICY_A_SHA256,
      symmetric: AES_128,
      scheme: undefined,
      keyBits: 2048,
      exponent: 0,
      modulus: new Uint8Array(256),
    },
  },
  {
    name: 'L-2',
    certificateNvIndex: 0x01c0000a,
    range: 'low',
    publicArea: {
      type: 'ecc',
      nameAlg: 'sha256',
      attributes: LOW_ATTRIBUTES,
      authPolicy: POLICY_A_SHA256,
      symmetric: AES_128,
      scheme: undefined,
      curve: 'p256',
      x: new Uint8Array(32),
      y: new Uint8Array(32),
    },
  },
  highRsa('H-1', 0x01c00012, 2048, 'sha256', AES_128),
  highEcc('H-2', 0x01c00014, 'p256', 'sha256', AES_128),
  highEcc('H-3', 0x01c00016, 'p384', 'sha384', AES_256),
  highEcc('H-4', 0x01c00018, 'p521', 'sha512', AES_256),
  highEcc('H-5', 0x01c0001a, 'sm2', 'sm3', SM4_128),
  highRsa('H-6', 0x01c0001c, 3072, 'sha384', AES_256),
  highRsa('H-7', 0x01c0001e, 4096, 'sha384', AES_256),
];

/** The TPM2B_PUBLIC that TPM2_CreatePrimary takes for this template. */
export function encodeEkTemplate(template: EkTemplate): Uint8Array {
  return encodePublic(template.publicArea);
}

/** The template that a public area was made from: all of it but the key itself is equal. */
export function findEkTemplate(area: PublicArea): EkTemplate | undefined {
  const wanted = encodePublicArea(withoutKey(area));
  return EK_TEMPLATES.find(
    (template) => Buffer.compare(encodePublicArea(withoutKey(template.publicArea)), wanted) === 0,
  );
}

function withoutKey(area: PublicArea): PublicArea {
  const none = new Uint8Array(0);
  return area.type === 'rsa' ? { ...area, modulus: none } : { ...area, x: none, y: none };
}

function highRsa(
  name: EkTemplateName,
  certificateNvIndex: number,
  keyBits: number,
  nameAlg: keyof typeof POLICY_B & TpmHash,
  symmetric: SymmetricDefinition,
): EkTemplate {
  const publicArea: PublicArea = {
    type: 'rsa',
    nameAlg,
    attributes: HIGH_ATTRIBUTES,
    authPolicy: POLICY_B[nameAlg],
    symmetric,
    scheme: undefined,
    keyBits,
    exponent: 0,
    modulus: new Uint8Array(0),
  };
  return { name, certificateNvIndex, range: 'high', publicArea };
}

function highEcc(
  name: EkTemplateName,
  certificateNvIndex: number,
  curve: TpmCurve,
  nameAlg: keyof typeof POLICY_B & TpmHash,
  symmetric: SymmetricDefinition,
): EkTemplate {
  const publicArea: PublicArea = {
    type: 'ecc',
    nameAlg,
    attributes: HIGH_ATTRIBUTES,
    authPolicy: POLICY_B[nameAlg],
    symmetric,
    scheme: undefined,
    curve,
    x: new Uint8Array(0),
    y: new Uint8Array(0),
  };
  return { name, certificateNvIndex, range: 'high', publicArea };
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}
