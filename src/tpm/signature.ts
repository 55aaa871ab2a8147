import { constants, type KeyObject, verify } from 'node:crypto';
import { SpiffeError } from '../spiffe/error.ts';
import { sequence, unsignedInteger } from '../x509/der.ts';
import { hashOfId, hexId, TPM_ALG, TPM_CURVES, TPM_HASHES, type TpmHash } from './algorithms.ts';
import { leftPad } from './public-key.ts';
import { TpmReader } from './tpm-reader.ts';
import { concat, sized, u16 } from './tpm-writer.ts';

export type SigningScheme = 'rsassa' | 'rsapss' | 'ecdsa';

/** TPMT_SIGNATURE: Part 2, §11.3.4. */
export type TpmSignature =
  | { readonly scheme: 'rsassa' | 'rsapss'; readonly hash: TpmHash; readonly signature: Uint8Array }
  | { readonly scheme: 'ecdsa'; readonly hash: TpmHash; readonly r: Uint8Array; readonly s: Uint8Array };

const MAX_RSA_SIGNATURE_BYTES = 512;
const MAX_ECC_INTEGER_BYTES = 66;
const RSA_SCHEMES = { [TPM_ALG.RSASSA]: 'rsassa', [TPM_ALG.RSAPSS]: 'rsapss' } as const;

/** @throws SpiffeError `TPM_DATA_INVALID` for other schemes too */
export function parseSignature(bytes: Uint8Array): TpmSignature {
  const reader = new TpmReader(bytes, 'TPMT_SIGNATURE');
  const id = reader.u16();
  if (id !== TPM_ALG.RSASSA && id !== TPM_ALG.RSAPSS && id !== TPM_ALG.ECDSA) {
    throw new SpiffeError('TPM_DATA_INVALID', `signature scheme ${hexId(id)}: RSASSA, RSAPSS or ECDSA is needed`);
  }
  const hash = hashOfId(reader.u16());
  const signature: TpmSignature =
    id === TPM_ALG.ECDSA
      ? { scheme: 'ecdsa', hash, r: reader.sized(MAX_ECC_INTEGER_BYTES), s: reader.sized(MAX_ECC_INTEGER_BYTES) }
      : { scheme: RSA_SCHEMES[id], hash, signature: reader.sized(MAX_RSA_SIGNATURE_BYTES) };
  reader.end();
  return signature;
}

/** The inverse of {@link parseSignature}. */
export function encodeSignature(signature: TpmSignature): Uint8Array {
  const hash = u16(TPM_HASHES[signature.hash].id);
  if (signature.scheme === 'ecdsa') {
    return concat(u16(TPM_ALG.ECDSA), hash, sized(signature.r), sized(signature.s));
  }
  return concat(u16(signature.scheme === 'rsassa' ? TPM_ALG.RSASSA : TPM_ALG.RSAPSS), hash, sized(signature.signature));
}

/** ECDSA-Sig-Value in DER. */
export function encodeEcdsaSigValue({ r, s }: Pick<TpmSignature & { scheme: 'ecdsa' }, 'r' | 's'>): Uint8Array {
  return sequence(unsignedInteger(r), unsignedInteger(s));
}

/** Tells whether `key` made this signature over `message`; the salt of RSAPSS may have any length. */
export function isSignatureBy(key: KeyObject, signature: TpmSignature, message: Uint8Array): boolean {
  switch (signature.scheme) {
    case 'rsassa':
      return verify(signature.hash, message, { key, padding: constants.RSA_PKCS1_PADDING }, signature.signature);
    case 'rsapss':
      return verify(
        signature.hash,
        message,
        { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO },
        signature.signature,
      );
    case 'ecdsa': {
      const size = coordinateBytes(key);
      if (signature.r.length > size || signature.s.length > size) {
        return false;
      }
      const pair = Buffer.concat([leftPad(signature.r, size), leftPad(signature.s, size)]);
      return verify(signature.hash, message, { key, dsaEncoding: 'ieee-p1363' }, pair);
    }
  }
}

function coordinateBytes(key: KeyObject): number {
  switch (key.asymmetricKeyDetails?.namedCurve) {
    case 'prime256v1':
      return TPM_CURVES.p256.size;
    case 'secp384r1':
      return TPM_CURVES.p384.size;
    case 'secp521r1':
      return TPM_CURVES.p521.size;
    default:
      return 0;
  }
}
