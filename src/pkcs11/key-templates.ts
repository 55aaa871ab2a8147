import type { CkAttribute, CkMechanism } from '../addon/pkcs11-addon.ts';
import type { KeyType } from '../x509/signer.ts';
import { CKA, CKM } from './numbers.ts';
import type { KeyName } from './protocol.ts';
import { CURVES } from './public-key.ts';

/** What C_GenerateKeyPair is given. */
export interface KeyPairTemplate {
  readonly mechanism: CkMechanism;
  readonly publicKey: readonly CkAttribute[];
  readonly privateKey: readonly CkAttribute[];
}

const MODULUS_BITS = { 'rsa-2048': 2048, 'rsa-4096': 4096 } as const;
const F4 = Uint8Array.of(0x01, 0x00, 0x01);

/**
 * A key that stays on the token, cannot be read, and signs. Modules give a private key other uses unless they are told not to;
 * some know the attributes of those uses not at all, so there is a second template without.
 */
export function keyPairTemplates(
  type: KeyType,
  { label, ckaId }: KeyName,
): readonly [strict: KeyPairTemplate, plain: KeyPairTemplate] {
  const isRsa = type === 'rsa-2048' || type === 'rsa-4096';
  const named = [
    { type: CKA.token, value: true },
    { type: CKA.label, value: label },
    { type: CKA.id, value: ckaId },
  ];
  const publicKey = [...named, { type: CKA.private, value: false }, { type: CKA.verify, value: true }, ...sizeOf(type)];
  const privateKey = [
    ...named,
    { type: CKA.private, value: true },
    { type: CKA.sensitive, value: true },
    { type: CKA.extractable, value: false },
    { type: CKA.sign, value: true },
  ];
  const otherUses = [CKA.decrypt, CKA.unwrap, CKA.derive, CKA.signRecover].map((use) => ({ type: use, value: false }));
  const mechanism = { mechanism: isRsa ? CKM.rsaKeyPairGen : CKM.ecKeyPairGen };
  return [
    { mechanism, publicKey, privateKey: [...privateKey, ...otherUses] },
    { mechanism, publicKey, privateKey },
  ];
}

function sizeOf(type: KeyType): readonly CkAttribute[] {
  if (type === 'ec-p256' || type === 'ec-p384') return [{ type: CKA.ecParams, value: CURVES[type].parameters }];
  return [
    { type: CKA.modulusBits, value: MODULUS_BITS[type] },
    { type: CKA.publicExponent, value: F4 },
  ];
}
