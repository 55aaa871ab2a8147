import type { TpmCurve } from './algorithms.ts';

/** The curves by the names that Node's crypto takes. */
export const OPENSSL_CURVES = {
  p256: 'prime256v1',
  p384: 'secp384r1',
  p521: 'secp521r1',
  sm2: 'SM2',
} as const satisfies Record<TpmCurve, string>;
