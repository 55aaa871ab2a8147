import { SpiffeError } from '../spiffe/error.ts';

/** TPMA_OBJECT, the bits of a public area's attributes: Part 2, §8.3.2. */
export const OBJECT_ATTRIBUTES = {
  fixedTPM: 1 << 1,
  stClear: 1 << 2,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  userWithAuth: 1 << 6,
  adminWithPolicy: 1 << 7,
  firmwareLimited: 1 << 8,
  svnLimited: 1 << 9,
  noDA: 1 << 10,
  encryptedDuplication: 1 << 11,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
  x509sign: 1 << 19,
} as const;
export type ObjectAttribute = keyof typeof OBJECT_ATTRIBUTES;

const KNOWN = Object.values(OBJECT_ATTRIBUTES).reduce((all, bit) => all | bit, 0);

/**
 * @returns the same bits
 * @throws SpiffeError `TPM_DATA_INVALID` when a reserved bit is set
 */
export function parseObjectAttributes(bits: number): number {
  const reserved = (bits & ~KNOWN) >>> 0;
  if (reserved !== 0) {
    throw new SpiffeError(
      'TPM_DATA_INVALID',
      `reserved object attributes 0x${reserved.toString(16).padStart(8, '0')} are set`,
    );
  }
  return bits;
}

export function objectAttributes(...names: readonly ObjectAttribute[]): number {
  return names.reduce((bits, name) => bits | OBJECT_ATTRIBUTES[name], 0);
}

export function hasObjectAttribute(bits: number, name: ObjectAttribute): boolean {
  return (bits & OBJECT_ATTRIBUTES[name]) !== 0;
}
