import { SpiffeError } from '../spiffe/error.ts';
import { bitString, derNull, oid, sequence, unsignedInteger } from '../x509/der.ts';
import { OID } from '../x509/oids.ts';
import { TPM_CURVES } from './algorithms.ts';
import type { PublicArea } from './public-area.ts';

const CURVE_OIDS = { p256: OID.secp256r1, p384: OID.secp384r1, p521: OID.secp521r1 } as const;
const DEFAULT_EXPONENT = 65537;
const UNCOMPRESSED = Uint8Array.of(0x04);

/**
 * The canonical SubjectPublicKeyInfo of a TPM key: rsaEncryption with NULL parameters, or ecPublicKey with a named curve
 * and an uncompressed point. Whether the key is any good is not judged here.
 *
 * @throws SpiffeError `TPM_DATA_INVALID` for the SM2 curve
 * @see RFC 3279 §2.3.1, RFC 5480 §2
 */
export function spkiOfPublicArea(area: PublicArea): Uint8Array {
  if (area.type === 'rsa') {
    const exponent = Buffer.alloc(4);
    exponent.writeUInt32BE(area.exponent === 0 ? DEFAULT_EXPONENT : area.exponent);
    const key = sequence(unsignedInteger(area.modulus), unsignedInteger(exponent));
    return sequence(sequence(oid(OID.rsaEncryption), derNull()), bitString(key));
  }
  if (area.curve === 'sm2') {
    throw new SpiffeError('TPM_DATA_INVALID', 'keys on the SM2 curve are not supported');
  }
  const { size } = TPM_CURVES[area.curve];
  const point = Buffer.concat([UNCOMPRESSED, leftPad(area.x, size), leftPad(area.y, size)]);
  return sequence(sequence(oid(OID.ecPublicKey), oid(CURVE_OIDS[area.curve])), bitString(point));
}

/** The number in exactly `size` bytes; TPMs may leave leading zeros out. */
export function leftPad(number: Uint8Array, size: number): Uint8Array {
  const padded = new Uint8Array(size);
  padded.set(number, size - number.length);
  return padded;
}
