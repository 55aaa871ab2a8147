import { createPublicKey, hash as digestOf, type KeyObject, privateEncrypt, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { SpiffeError } from '../spiffe/error.ts';
import { keyTypeOfSpki } from './spki.ts';

export type KeyType = 'ec-p256' | 'ec-p384' | 'rsa-2048' | 'rsa-4096';
export type HashName = 'sha256' | 'sha384' | 'sha512';

/** A private key that may live elsewhere: in a key manager, in memory. */
export interface Signer {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly keyType: KeyType;
  /** @returns for EC the DER of ECDSA-Sig-Value, for RSA the octets of RSASSA-PKCS1-v1_5. */
  signDigest(digest: Uint8Array, hash: HashName): Promise<Uint8Array>;
  /** Hashes and signs; preferred to `signDigest` where present. For keys whose only primitive takes the message. */
  signMessage?(message: Uint8Array, hash: HashName): Promise<Uint8Array>;
}

/** On a thread of libuv's pool: whoever signs much has another thread for the rest. */
const signAside = promisify(sign);

/** The hash that goes with a key: SHA-384 with P-384, SHA-256 otherwise. */
export const hashOfKeyType = (keyType: KeyType): HashName => (keyType === 'ec-p384' ? 'sha384' : 'sha256');

/** Signs `message` with the hash of {@link hashOfKeyType}, by whichever primitive the signer has. */
export async function signMessage(signer: Signer, message: Uint8Array): Promise<Uint8Array> {
  const hash = hashOfKeyType(signer.keyType);
  return signer.signMessage === undefined
    ? await signer.signDigest(digestOf(hash, message, 'buffer'), hash)
    : await signer.signMessage(message, hash);
}

/**
 * A private key in memory. Node cannot sign a digest with an EC key, so for those `signDigest` refuses with
 * `UNIMPLEMENTED`: sign through {@link signMessage}, as everything in this project does.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` for a public key, or a type that is no {@link KeyType}.
 */
export function signerOfKeyObject(key: KeyObject): Signer {
  if (key.type !== 'private') throw new SpiffeError('ARGUMENT_INVALID', `a ${key.type} key cannot sign`);
  const publicKey = new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }));
  const keyType = keyTypeOfSpki(publicKey);
  return {
    publicKey,
    keyType,
    signMessage: (message, hash) => signAside(hash, message, key),
    signDigest: async (digest, hash) => {
      if (key.asymmetricKeyType !== 'rsa') {
        throw new SpiffeError('UNIMPLEMENTED', 'an EC key in memory signs messages only, use signMessage');
      }
      return privateEncrypt(key, Buffer.concat([DIGEST_INFO_PREFIX[hash], digest])); // RSAES-PKCS1 type 1 padding
    },
  };
}

/** DigestInfo up to its digest. Source: RFC 8017 §9.2, note 1. */
const DIGEST_INFO_PREFIX: Readonly<Record<HashName, Uint8Array>> = {
  sha256: Buffer.from('3031300d060960864801650304020105000420', 'hex'),
  sha384: Buffer.from('3041300d060960864801650304020205000430', 'hex'),
  sha512: Buffer.from('3051300d060960864801650304020305000440', 'hex'),
};
