import { SpiffeError } from '../spiffe/error.ts';
import { type DigestHash, hashLength } from '../x509/rsa-padding.ts';
import type { KeyType } from '../x509/signer.ts';
import type { SignatureScheme } from './protocol.ts';

/** How a key manager is asked to sign. */
export type SignatureRequest =
  | { readonly scheme: 'default'; readonly hash: DigestHash }
  /** Bytes, or as Go has it: -1 as long as the hash, 0 as long as fits. */
  | { readonly scheme: 'pss'; readonly hash: DigestHash; readonly saltLength: number };

/** @throws SpiffeError `ARGUMENT_INVALID` where key, scheme, hash and digest do not go together */
export function toScheme(type: KeyType, digest: Uint8Array, options: SignatureRequest): SignatureScheme {
  const { hash } = options;
  const length = hashLength(hash);
  if (digest.length !== length) {
    throw new SpiffeError('ARGUMENT_INVALID', `a ${hash} digest has ${length} bytes, this has ${digest.length}`);
  }
  const isRsa = type === 'rsa-2048' || type === 'rsa-4096';
  if (options.scheme === 'default') return { scheme: isRsa ? 'rsa-pkcs1' : 'ecdsa', hash };
  if (!isRsa) throw new SpiffeError('ARGUMENT_INVALID', `PSS is for RSA keys, and this one is ${type}`);
  return { scheme: 'rsa-pss', hash, saltLength: saltBytes(type, length, options.saltLength) };
}

/** Go's constants: -1 as long as the hash, 0 as long as fits. RFC 8017 §9.1.1. */
function saltBytes(type: 'rsa-2048' | 'rsa-4096', hashBytes: number, saltLength: number): number {
  const longest = (type === 'rsa-2048' ? 256 : 512) - hashBytes - 2;
  const bytes = saltLength === -1 ? hashBytes : saltLength === 0 ? longest : saltLength;
  if (bytes >= 0 && bytes <= longest) return bytes;
  throw new SpiffeError('ARGUMENT_INVALID', `a salt of ${bytes} bytes does not fit, 0 to ${longest} do`);
}
