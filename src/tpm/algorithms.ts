import { SpiffeError } from '../spiffe/error.ts';

/** TPM_ALG_ID: TCG Algorithm Registry, table 3. */
export const TPM_ALG = {
  RSA: 0x0001,
  SHA1: 0x0004,
  AES: 0x0006,
  SHA256: 0x000b,
  SHA384: 0x000c,
  SHA512: 0x000d,
  NULL: 0x0010,
  SM3_256: 0x0012,
  SM4: 0x0013,
  RSASSA: 0x0014,
  RSAES: 0x0015,
  RSAPSS: 0x0016,
  OAEP: 0x0017,
  ECDSA: 0x0018,
  ECDH: 0x0019,
  ECDAA: 0x001a,
  SM2: 0x001b,
  ECSCHNORR: 0x001c,
  ECMQV: 0x001d,
  ECC: 0x0023,
  CFB: 0x0043,
} as const;

/** The digests that a TPM names. SM3 is known, so that a structure can be read, and is trusted nowhere. */
export const TPM_HASHES = {
  sha1: { id: TPM_ALG.SHA1, size: 20 },
  sha256: { id: TPM_ALG.SHA256, size: 32 },
  sha384: { id: TPM_ALG.SHA384, size: 48 },
  sha512: { id: TPM_ALG.SHA512, size: 64 },
  sm3: { id: TPM_ALG.SM3_256, size: 32 },
} as const;
export type TpmHash = keyof typeof TPM_HASHES;

/** Digests that a rule may rest on: SHA-256 or better. */
export const STRONG_HASHES = ['sha256', 'sha384', 'sha512'] as const satisfies readonly TpmHash[];
export type StrongHash = (typeof STRONG_HASHES)[number];

/** TPM_ECC_CURVE: TCG Algorithm Registry, table 4; `size` is that of a coordinate in bytes. */
export const TPM_CURVES = {
  p256: { id: 0x0003, size: 32 },
  p384: { id: 0x0004, size: 48 },
  p521: { id: 0x0005, size: 66 },
  sm2: { id: 0x0020, size: 32 },
} as const;
export type TpmCurve = keyof typeof TPM_CURVES;

const HASH_BY_ID = new Map<number, TpmHash>(entriesOf(TPM_HASHES));
const CURVE_BY_ID = new Map<number, TpmCurve>(entriesOf(TPM_CURVES));

export const findHashOfId = (id: number): TpmHash | undefined => HASH_BY_ID.get(id);

/** @throws SpiffeError `TPM_DATA_INVALID` for a hash that is not in {@link TPM_HASHES} */
export function hashOfId(id: number): TpmHash {
  const hash = findHashOfId(id);
  if (hash === undefined) {
    throw new SpiffeError('TPM_DATA_INVALID', `unknown hash algorithm ${hexId(id)} in a TPM structure`);
  }
  return hash;
}

/** @throws SpiffeError `TPM_DATA_INVALID` for a curve that is not in {@link TPM_CURVES} */
export function curveOfId(id: number): TpmCurve {
  const curve = CURVE_BY_ID.get(id);
  if (curve === undefined) {
    throw new SpiffeError('TPM_DATA_INVALID', `unknown elliptic curve ${hexId(id)} in a TPM structure`);
  }
  return curve;
}

export function isStrongHash(hash: TpmHash): hash is StrongHash {
  return (STRONG_HASHES as readonly TpmHash[]).includes(hash);
}

/** `0x000b`, as the standard writes an identifier. */
export function hexId(id: number): string {
  return `0x${id.toString(16).padStart(4, '0')}`;
}

function* entriesOf<Name extends string>(
  table: Readonly<Record<Name, { readonly id: number }>>,
): Iterable<[number, Name]> {
  for (const name in table) {
    yield [table[name].id, name];
  }
}
