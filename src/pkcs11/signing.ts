import type { CkMechanism } from '../addon/pkcs11-addon.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { sequence, unsignedInteger } from '../x509/der.ts';
import { type DigestHash, digestInfo, padPss } from '../x509/rsa-padding.ts';
import type { KeyType } from '../x509/signer.ts';
import { CK_PARAMS_RSA_PSS, CKG, CKM } from './numbers.ts';
import type { SignatureScheme } from './protocol.ts';
import { CURVES } from './public-key.ts';

/** One way to have the token sign. */
export interface Signing {
  readonly mechanism: CkMechanism;
  readonly data: Uint8Array;
}

/** Of a signature as a module returns it, in bytes: r‖s, or the number of RSA. */
export const SIGNATURE_BYTES: Readonly<Record<KeyType, number>> = {
  'ec-p256': 64,
  'ec-p384': 96,
  'rsa-2048': 256,
  'rsa-4096': 512,
};

/** Hashes that PSS of PKCS#11 2.40 has. */
const PSS_HASHES: Partial<Readonly<Record<DigestHash, { readonly hashAlg: number; readonly mgf: number }>>> = {
  sha224: { hashAlg: CKM.sha224, mgf: CKG.mgf1Sha224 },
  sha256: { hashAlg: CKM.sha256, mgf: CKG.mgf1Sha256 },
  sha384: { hashAlg: CKM.sha384, mgf: CKG.mgf1Sha384 },
  sha512: { hashAlg: CKM.sha512, mgf: CKG.mgf1Sha512 },
};

/**
 * The ways to sign a digest by a scheme, the best one first. Where a module has no PSS with that hash or salt, the padding is
 * made here and the token computes with the key alone.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` where key and scheme do not go together
 */
export function waysToSign(type: KeyType, digest: Uint8Array, how: SignatureScheme): readonly (() => Signing)[] {
  if (type === 'ec-p256' || type === 'ec-p384') {
    if (how.scheme !== 'ecdsa') throw mismatch(type, how.scheme);
    return [() => ({ mechanism: { mechanism: CKM.ecdsa }, data: asNumber(digest, CURVES[type].size) })];
  }
  switch (how.scheme) {
    case 'ecdsa':
      throw mismatch(type, how.scheme);
    case 'rsa-pkcs1':
      return [() => ({ mechanism: { mechanism: CKM.rsaPkcs }, data: digestInfo(digest, how.hash) })];
    case 'rsa-pss': {
      const { hash, saltLength } = how;
      const length = SIGNATURE_BYTES[type];
      const own = () => ({ mechanism: { mechanism: CKM.rsaX509 }, data: padPss(digest, hash, { length, saltLength }) });
      const known = PSS_HASHES[hash];
      if (known === undefined) return [own];
      const parameter = { type: CK_PARAMS_RSA_PSS, ...known, saltLen: saltLength };
      return [() => ({ mechanism: { mechanism: CKM.rsaPss, parameter }, data: digest }), own];
    }
  }
}

/** What the caller wants of what a module returned. @throws SpiffeError `INTERNAL` where that is no signature of such a key */
export function toSignature(type: KeyType, returned: Uint8Array): Uint8Array {
  const length = SIGNATURE_BYTES[type];
  if (returned.length !== length) {
    throw new SpiffeError(
      'INTERNAL',
      `the PKCS#11 module made a signature of ${returned.length} bytes with a key of type ${type}, ${length} are right`,
    );
  }
  if (type === 'rsa-2048' || type === 'rsa-4096') return returned;
  const [r, s] = [returned.subarray(0, length / 2), returned.subarray(length / 2)];
  return sequence(unsignedInteger(r), unsignedInteger(s));
}

/**
 * ECDSA takes the leftmost bits of a digest as a number: the same for every module, whatever it does with a digest that is longer
 * or shorter than the order of the curve.
 */
function asNumber(digest: Uint8Array, size: number): Uint8Array {
  const leftmost = digest.subarray(0, size);
  return Buffer.concat([Buffer.alloc(size - leftmost.length), leftmost]);
}

function mismatch(type: KeyType, scheme: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', `a key of type ${type} cannot sign with ${scheme}`);
}
