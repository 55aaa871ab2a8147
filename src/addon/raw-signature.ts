import { SpiffeError } from '../spiffe/error.ts';
import { type KeyAddon, loadKeyAddon, type NativeRawKey } from './key-addon.ts';

/** Every hash that SignData of a key manager can name. */
export type SignatureHash =
  | 'sha224'
  | 'sha256'
  | 'sha384'
  | 'sha512'
  | 'sha512-224'
  | 'sha512-256'
  | 'sha3-224'
  | 'sha3-256'
  | 'sha3-384'
  | 'sha3-512';

export type SignatureOptions =
  /** ECDSA-Sig-Value, DER. A digest longer than the curve's order counts with its leftmost bits. */
  | { readonly scheme: 'ecdsa' }
  /** RSASSA-PKCS1-v1_5; `none`: the bytes are padded as they are, without DigestInfo. */
  | { readonly scheme: 'rsa-pkcs1'; readonly hash: SignatureHash | 'none' }
  | {
      readonly scheme: 'rsa-pss';
      readonly hash: SignatureHash;
      /** Bytes, or as long as the digest, or as long as fits. */
      readonly saltLength: number | 'digest' | 'longest';
    };

/** Names as OpenSSL has them. */
const HASH_NAMES: Readonly<Record<SignatureHash | 'none', string>> = {
  none: '',
  sha224: 'SHA224',
  sha256: 'SHA256',
  sha384: 'SHA384',
  sha512: 'SHA512',
  'sha512-224': 'SHA512-224',
  'sha512-256': 'SHA512-256',
  'sha3-224': 'SHA3-224',
  'sha3-256': 'SHA3-256',
  'sha3-384': 'SHA3-384',
  'sha3-512': 'SHA3-512',
};
const SALT_AS_DIGEST = -1;
const SALT_LONGEST = -3;

/**
 * A software private key that signs digests, which Node's own crypto cannot. Parsed once; its bytes are zeroed on disposal.
 */
export class RawSigningKey implements Disposable {
  readonly #native: NativeRawKey;

  private constructor(native: NativeRawKey) {
    this.#native = native;
  }

  /**
   * @param pkcs8 DER of an EC or RSA private key. It is read and not kept: the caller zeroes it.
   * @throws SpiffeError `ARGUMENT_INVALID`
   */
  static import(pkcs8: Uint8Array): RawSigningKey {
    addon ??= loadKeyAddon();
    try {
      return new RawSigningKey(new addon.RawKey(pkcs8));
    } catch (cause) {
      throw new SpiffeError('ARGUMENT_INVALID', 'the private key is not an EC or RSA key in PKCS #8 DER', { cause });
    }
  }

  /** @throws SpiffeError `ARGUMENT_INVALID` where key, scheme, hash and digest do not go together. */
  signDigest(digest: Uint8Array, options: SignatureOptions): Uint8Array {
    const hash = options.scheme === 'ecdsa' ? '' : HASH_NAMES[options.hash];
    try {
      return this.#native.signDigest(digest, options.scheme, hash, saltLengthOf(options));
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : 'no reason given';
      throw new SpiffeError('ARGUMENT_INVALID', `the digest cannot be signed: ${reason}`, { cause });
    }
  }

  [Symbol.dispose](): void {
    this.#native.close();
  }
}

let addon: KeyAddon | undefined;

function saltLengthOf(options: SignatureOptions): number {
  if (options.scheme !== 'rsa-pss' || options.saltLength === 'digest') return SALT_AS_DIGEST;
  if (options.saltLength === 'longest') return SALT_LONGEST;
  if (Number.isInteger(options.saltLength) && options.saltLength >= 0) return options.saltLength;
  throw new SpiffeError('ARGUMENT_INVALID', `a salt of ${options.saltLength} bytes is not possible`);
}
