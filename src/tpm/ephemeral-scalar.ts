import { TPM_CURVES, type TpmCurve } from './algorithms.ts';

/** Orders of the groups. Source: SP 800-186 §3.2.1; for SM2, GB/T 32918.5. */
const ORDERS: Readonly<Record<TpmCurve, bigint>> = {
  p256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  p384: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  p521: 0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  sm2: 0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123n,
};
/** So many more bits than the order has that the remainder is as good as uniform. */
const EXTRA_BYTES = 8;

/** How much {@link ephemeralScalar} takes. */
export function scalarEntropyBytes(curve: TpmCurve): number {
  return TPM_CURVES[curve].size + EXTRA_BYTES;
}

/**
 * The private key of a one-time key agreement, made of random bytes.
 *
 * @see FIPS 186-5 §A.2.1 (extra random bits)
 */
export function ephemeralScalar(curve: TpmCurve, entropy: Uint8Array): Uint8Array {
  const scalar = (BigInt(`0x${Buffer.from(entropy).toString('hex')}`) % (ORDERS[curve] - 1n)) + 1n;
  const digits = scalar.toString(16).padStart(TPM_CURVES[curve].size * 2, '0');
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}
