import type { SignatureHash } from '../addon/raw-signature.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { StrongHash, TpmCurve } from '../tpm/algorithms.ts';
import { TPM_CURVES } from '../tpm/algorithms.ts';
import { leftPad } from '../tpm/public-key.ts';
import { encodeEcdsaSigValue, parseSignature } from '../tpm/signature.ts';
import { hashLength, padPkcs1, padPss } from '../x509/rsa-padding.ts';
import type { TpmDevice, TpmKey } from './device.ts';

/** The hash whose digests are as long as the curve's order: with it a TPM signs every digest that ECDSA can. */
const HASH_OF_CURVE: Partial<Readonly<Record<TpmCurve, StrongHash>>> = { p256: 'sha256', p384: 'sha384' };

/** How to sign a digest of that hash. */
export type DigestScheme =
  | { readonly scheme: 'ecdsa' | 'rsa-pkcs1'; readonly hash: SignatureHash }
  | {
      readonly scheme: 'rsa-pss';
      readonly hash: SignatureHash;
      /** Bytes, or as long as the digest, or as long as fits. */
      readonly saltLength: number | 'digest' | 'longest';
    };

/**
 * Signs a digest with a key of ours in the TPM. What the TPM itself does not know, hashes and lengths of salts, is computed
 * here: the same digest of whatever hash is one number to ECDSA, and to RSA a padding.
 *
 * @returns ECDSA-Sig-Value in DER, or the bytes of RSA
 * @throws SpiffeError `ARGUMENT_INVALID` where key, scheme, hash and digest do not go together, `TPM_UNAVAILABLE`
 */
export async function signWithKey(
  tpm: TpmDevice,
  key: TpmKey,
  digest: Uint8Array,
  options: DigestScheme,
): Promise<Uint8Array> {
  requireDigest(digest, options);
  const { publicArea } = key;
  if (publicArea.type === 'rsa') {
    if (options.scheme === 'ecdsa') throw mismatch('RSA', options.scheme);
    const length = publicArea.modulus.length;
    const number =
      options.scheme === 'rsa-pss'
        ? padPss(digest, options.hash, { length, saltLength: options.saltLength })
        : padPkcs1(digest, options.hash, length);
    return leftPad(await tpm.applyRsaKey(key, number), length);
  }
  if (options.scheme !== 'ecdsa') throw mismatch('EC', options.scheme);
  const hash = HASH_OF_CURVE[publicArea.curve];
  if (hash === undefined) throw new SpiffeError('ARGUMENT_INVALID', `no key of ours is on ${publicArea.curve}`);
  const { size } = TPM_CURVES[publicArea.curve];
  const signature = parseSignature(await tpm.signDigest(key, leftPad(digest.subarray(0, size), size), hash));
  if (signature.scheme !== 'ecdsa') throw new SpiffeError('TPM_DATA_INVALID', 'the TPM signed by another scheme');
  return encodeEcdsaSigValue(signature);
}

function requireDigest(digest: Uint8Array, { hash }: DigestScheme): void {
  const length = hashLength(hash);
  if (digest.length === length) return;
  throw new SpiffeError('ARGUMENT_INVALID', `a ${hash} digest has ${length} bytes, this has ${digest.length}`);
}

function mismatch(kind: string, scheme: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', `the key is ${kind} and cannot sign with ${scheme}`);
}
