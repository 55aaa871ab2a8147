import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { RawSigningKey } from '../addon/raw-signature.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { generatePrivateKey } from '../x509/generate-private-key.ts';
import type { KeyType } from '../x509/signer.ts';
import { keyTypeOfSpki } from '../x509/spki.ts';
import type { KeyRecord, SignatureOptions } from './key-manager.ts';

/** A private key in this process's memory, for key managers that keep theirs in software. */
export class SoftwareKey implements Disposable {
  readonly record: KeyRecord;
  readonly #signing: RawSigningKey;
  readonly #pkcs8: Buffer;

  private constructor(record: KeyRecord, pkcs8: Buffer) {
    this.record = record;
    this.#pkcs8 = pkcs8;
    this.#signing = RawSigningKey.import(pkcs8);
  }

  static async generate(id: string, type: KeyType): Promise<SoftwareKey> {
    return SoftwareKey.#of(id, await generatePrivateKey(type));
  }

  /** @param pkcs8 DER. @throws SpiffeError `ARGUMENT_INVALID` */
  static import(id: string, pkcs8: Uint8Array): SoftwareKey {
    try {
      return SoftwareKey.#of(id, createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' }));
    } catch (cause) {
      throw new SpiffeError('ARGUMENT_INVALID', `the key "${id}" is not a private key in PKCS #8`, { cause });
    }
  }

  static #of(id: string, key: KeyObject): SoftwareKey {
    const publicKey = new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }));
    const record = { id, type: keyTypeOfSpki(publicKey), publicKey, fingerprint: sha256Hex(publicKey) };
    return new SoftwareKey(record, key.export({ type: 'pkcs8', format: 'der' }));
  }

  /** PKCS #8 DER: a secret, for whoever stores it. */
  get pkcs8(): Uint8Array {
    return this.#pkcs8;
  }

  signDigest(digest: Uint8Array, options: SignatureOptions): Uint8Array {
    return this.#signing.signDigest(digest, rawOptions(this.record.type, options));
  }

  /** Zeroes the key. */
  [Symbol.dispose](): void {
    this.#signing[Symbol.dispose]();
    this.#pkcs8.fill(0);
  }
}

function rawOptions(type: KeyType, options: SignatureOptions): Parameters<RawSigningKey['signDigest']>[1] {
  const isRsa = type === 'rsa-2048' || type === 'rsa-4096';
  if (options.scheme === 'default') return isRsa ? { scheme: 'rsa-pkcs1', hash: options.hash } : { scheme: 'ecdsa' };
  if (!isRsa) throw new SpiffeError('ARGUMENT_INVALID', `PSS is for RSA keys, and this one is ${type}`);
  return { scheme: 'rsa-pss', hash: options.hash, saltLength: pssSaltLength(options.saltLength) };
}

/** Go's constants: -1 as long as the hash, 0 as long as fits. */
function pssSaltLength(saltLength: number): number | 'digest' | 'longest' {
  if (saltLength === -1) return 'digest';
  return saltLength === 0 ? 'longest' : saltLength;
}

function sha256Hex(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
