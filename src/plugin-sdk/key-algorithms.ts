import type { SignatureHash } from '../addon/raw-signature.ts';
import { HashAlgorithm, KeyType as KeyTypeNumber } from '../gen/spire/plugin/server/keymanager/v1/keymanager.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { KeyType } from '../x509/signer.ts';

const HASH_NAMES: ReadonlyMap<HashAlgorithm, SignatureHash> = new Map([
  [HashAlgorithm.SHA224, 'sha224'],
  [HashAlgorithm.SHA256, 'sha256'],
  [HashAlgorithm.SHA384, 'sha384'],
  [HashAlgorithm.SHA512, 'sha512'],
  [HashAlgorithm.SHA3_224, 'sha3-224'],
  [HashAlgorithm.SHA3_256, 'sha3-256'],
  [HashAlgorithm.SHA3_384, 'sha3-384'],
  [HashAlgorithm.SHA3_512, 'sha3-512'],
  [HashAlgorithm.SHA512_224, 'sha512-224'],
  [HashAlgorithm.SHA512_256, 'sha512-256'],
]);

const KEY_TYPES: Readonly<Record<KeyType, KeyTypeNumber>> = {
  'ec-p256': KeyTypeNumber.EC_P256,
  'ec-p384': KeyTypeNumber.EC_P384,
  'rsa-2048': KeyTypeNumber.RSA_2048,
  'rsa-4096': KeyTypeNumber.RSA_4096,
};

export function hashName(algorithm: HashAlgorithm): SignatureHash | undefined {
  return HASH_NAMES.get(algorithm);
}

export function keyTypeNumber(type: KeyType): KeyTypeNumber {
  return KEY_TYPES[type];
}

/** @throws SpiffeError `ARGUMENT_INVALID` for a number that no key has. */
export function keyTypeName(number: KeyTypeNumber): KeyType {
  switch (number) {
    case KeyTypeNumber.EC_P256:
      return 'ec-p256';
    case KeyTypeNumber.EC_P384:
      return 'ec-p384';
    case KeyTypeNumber.RSA_2048:
      return 'rsa-2048';
    case KeyTypeNumber.RSA_4096:
      return 'rsa-4096';
    default:
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        `key type ${number} is not one of ec-p256, ec-p384, rsa-2048, rsa-4096`,
      );
  }
}
