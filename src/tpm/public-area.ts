import { SpiffeError } from '../spiffe/error.ts';
import {
  curveOfId,
  hashOfId,
  hexId,
  TPM_ALG,
  TPM_CURVES,
  TPM_HASHES,
  type TpmCurve,
  type TpmHash,
} from './algorithms.ts';
import { parseObjectAttributes } from './object-attributes.ts';
import { TpmReader } from './tpm-reader.ts';
import { concat, sized, u16, u32 } from './tpm-writer.ts';

/** TPMT_SYM_DEF_OBJECT: Part 2, §11.1.7. */
export interface SymmetricDefinition {
  readonly algorithm: 'aes' | 'sm4';
  readonly keyBits: number;
  readonly mode: 'cfb';
}

/** TPMT_RSA_SCHEME or TPMT_ECC_SCHEME: Part 2, §11.2.4.2 and §11.2.5.6. */
export interface KeyScheme {
  readonly algorithm: 'rsassa' | 'rsapss' | 'oaep' | 'rsaes' | 'ecdsa' | 'ecdh' | 'sm2' | 'ecschnorr' | 'ecmqv';
  /** Absent for RSAES alone. */
  readonly hash?: TpmHash;
}

interface PublicAreaBase {
  readonly nameAlg: TpmHash;
  /** TPMA_OBJECT, the bits as sent: see object-attributes.ts. */
  readonly attributes: number;
  readonly authPolicy: Uint8Array;
  /** Undefined is TPM_ALG_NULL: no storage key. */
  readonly symmetric: SymmetricDefinition | undefined;
  /** Undefined is TPM_ALG_NULL: chosen when the key is used. */
  readonly scheme: KeyScheme | undefined;
}

export interface RsaPublicArea extends PublicAreaBase {
  readonly type: 'rsa';
  readonly keyBits: number;
  /** 0 stands for 65537. */
  readonly exponent: number;
  readonly modulus: Uint8Array;
}

export interface EccPublicArea extends PublicAreaBase {
  readonly type: 'ecc';
  readonly curve: TpmCurve;
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

/** TPMT_PUBLIC of an asymmetric key: Part 2, §12.2.4. */
export type PublicArea = RsaPublicArea | EccPublicArea;

const MAX_AUTH_POLICY_BYTES = 64;
const MAX_RSA_KEY_BYTES = 512;
/** Larger than any public area of an RSA-4096 key with a 64-byte policy. */
const MAX_PUBLIC_AREA_BYTES = 1024;

const SCHEMES = [
  { algorithm: 'rsassa', id: TPM_ALG.RSASSA, type: 'rsa', hasHash: true },
  { algorithm: 'rsapss', id: TPM_ALG.RSAPSS, type: 'rsa', hasHash: true },
  { algorithm: 'oaep', id: TPM_ALG.OAEP, type: 'rsa', hasHash: true },
  { algorithm: 'rsaes', id: TPM_ALG.RSAES, type: 'rsa', hasHash: false },
  { algorithm: 'ecdsa', id: TPM_ALG.ECDSA, type: 'ecc', hasHash: true },
  { algorithm: 'ecdh', id: TPM_ALG.ECDH, type: 'ecc', hasHash: true },
  { algorithm: 'sm2', id: TPM_ALG.SM2, type: 'ecc', hasHash: true },
  { algorithm: 'ecschnorr', id: TPM_ALG.ECSCHNORR, type: 'ecc', hasHash: true },
  { algorithm: 'ecmqv', id: TPM_ALG.ECMQV, type: 'ecc', hasHash: true },
] as const;

/**
 * Reads a TPM2B_PUBLIC that holds an RSA or ECC key.
 *
 * @throws SpiffeError `TPM_DATA_INVALID` for anything that {@link encodePublic} would not write
 */
export function parsePublic(bytes: Uint8Array): PublicArea {
  const outer = new TpmReader(bytes, 'TPM2B_PUBLIC');
  const area = outer.sized(MAX_PUBLIC_AREA_BYTES);
  outer.end();
  return parsePublicArea(area);
}

/** Reads a TPMT_PUBLIC; otherwise as {@link parsePublic}. */
export function parsePublicArea(bytes: Uint8Array): PublicArea {
  const reader = new TpmReader(bytes, 'TPMT_PUBLIC');
  const type = reader.u16();
  const nameAlg = hashOfId(reader.u16());
  const attributes = parseObjectAttributes(reader.u32());
  const authPolicy = reader.sized(MAX_AUTH_POLICY_BYTES);
  const symmetric = parseSymmetric(reader);
  let area: PublicArea;
  if (type === TPM_ALG.RSA) {
    const scheme = parseScheme(reader, 'rsa');
    const keyBits = reader.u16();
    const exponent = reader.u32();
    const modulus = reader.sized(MAX_RSA_KEY_BYTES);
    area = { type: 'rsa', nameAlg, attributes, authPolicy, symmetric, scheme, keyBits, exponent, modulus };
  } else if (type === TPM_ALG.ECC) {
    const scheme = parseScheme(reader, 'ecc');
    const curve = curveOfId(reader.u16());
    requireNullKdf(reader.u16());
    const x = reader.sized(TPM_CURVES[curve].size);
    const y = reader.sized(TPM_CURVES[curve].size);
    area = { type: 'ecc', nameAlg, attributes, authPolicy, symmetric, scheme, curve, x, y };
  } else {
    throw new SpiffeError(
      'TPM_DATA_INVALID',
      `a public area of type ${hexId(type)}, where an RSA or ECC key is needed`,
    );
  }
  reader.end();
  return area;
}

/** TPM2B_PUBLIC; the inverse of {@link parsePublic}. */
export function encodePublic(area: PublicArea): Uint8Array {
  return sized(encodePublicArea(area));
}

/** TPMT_PUBLIC, the bytes that a Name is computed over. */
export function encodePublicArea(area: PublicArea): Uint8Array {
  return concat(
    u16(area.type === 'rsa' ? TPM_ALG.RSA : TPM_ALG.ECC),
    u16(TPM_HASHES[area.nameAlg].id),
    u32(area.attributes),
    sized(area.authPolicy),
    encodeSymmetric(area.symmetric),
    encodeScheme(area.scheme),
    ...(area.type === 'rsa'
      ? [u16(area.keyBits), u32(area.exponent), sized(area.modulus)]
      : [u16(TPM_CURVES[area.curve].id), u16(TPM_ALG.NULL), sized(area.x), sized(area.y)]),
  );
}

function parseSymmetric(reader: TpmReader): SymmetricDefinition | undefined {
  const id = reader.u16();
  if (id === TPM_ALG.NULL) {
    return undefined;
  }
  if (id !== TPM_ALG.AES && id !== TPM_ALG.SM4) {
    throw new SpiffeError('TPM_DATA_INVALID', `symmetric algorithm ${hexId(id)} in a public area, AES or SM4 is known`);
  }
  const keyBits = reader.u16();
  if (keyBits !== 128 && (id !== TPM_ALG.AES || keyBits !== 256)) {
    throw new SpiffeError(
      'TPM_DATA_INVALID',
      `a symmetric key of ${keyBits} bits in a public area, 128 or 256 are known`,
    );
  }
  const mode = reader.u16();
  if (mode !== TPM_ALG.CFB) {
    throw new SpiffeError('TPM_DATA_INVALID', `symmetric mode ${hexId(mode)} in a public area, a key has CFB`);
  }
  return { algorithm: id === TPM_ALG.AES ? 'aes' : 'sm4', keyBits, mode: 'cfb' };
}

function encodeSymmetric(symmetric: SymmetricDefinition | undefined): Uint8Array {
  return symmetric === undefined
    ? u16(TPM_ALG.NULL)
    : concat(u16(symmetric.algorithm === 'aes' ? TPM_ALG.AES : TPM_ALG.SM4), u16(symmetric.keyBits), u16(TPM_ALG.CFB));
}

function parseScheme(reader: TpmReader, type: 'rsa' | 'ecc'): KeyScheme | undefined {
  const id = reader.u16();
  if (id === TPM_ALG.NULL) {
    return undefined;
  }
  const known = SCHEMES.find((scheme) => scheme.id === id && scheme.type === type);
  if (known === undefined) {
    throw new SpiffeError('TPM_DATA_INVALID', `scheme ${hexId(id)} in the public area of an ${type} key`);
  }
  return known.hasHash ? { algorithm: known.algorithm, hash: hashOfId(reader.u16()) } : { algorithm: known.algorithm };
}

function encodeScheme(scheme: KeyScheme | undefined): Uint8Array {
  if (scheme === undefined) {
    return u16(TPM_ALG.NULL);
  }
  const id = SCHEMES.find((known) => known.algorithm === scheme.algorithm)?.id ?? TPM_ALG.NULL;
  return scheme.hash === undefined ? u16(id) : concat(u16(id), u16(TPM_HASHES[scheme.hash].id));
}

function requireNullKdf(id: number): void {
  if (id !== TPM_ALG.NULL) {
    throw new SpiffeError(
      'TPM_DATA_INVALID',
      `key derivation scheme ${hexId(id)} in a public area, which has to be null`,
    );
  }
}

/** Whether two keys may do the same, by the same scheme. */
export function isUsedAlike(one: PublicArea, other: PublicArea): boolean {
  return one.attributes === other.attributes && one.scheme?.algorithm === other.scheme?.algorithm;
}
