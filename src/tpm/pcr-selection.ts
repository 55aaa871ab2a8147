import { requireCheck } from '../x509/require-check.ts';
import { findHashOfId, hashOfId, type StrongHash, TPM_HASHES, type TpmHash } from './algorithms.ts';
import type { TpmReader } from './tpm-reader.ts';
import { concat, u8, u16, u32 } from './tpm-writer.ts';

/** The PCRs that a quote has to cover: one bank, ascending indices without repetition. */
export interface PcrRequest {
  readonly bank: StrongHash;
  /** 0 to 23. */
  readonly indices: readonly number[];
}

/** TPMS_PCR_SELECTION: Part 2, §10.6.2. */
export interface PcrSelection {
  readonly bank: TpmHash;
  /** Ascending. */
  readonly indices: readonly number[];
}

export const MAX_PCR_INDEX = 23;
const SELECT_BYTES = 3;
const MAX_BANKS = 16;

/**
 * Reads a TPML_PCR_SELECTION: Part 2, §10.9.7.
 *
 * @throws SpiffeError `TPM_DATA_INVALID` for a bank of a hash that is not in TPM_HASHES
 */
export function readPcrSelections(reader: TpmReader): readonly PcrSelection[] {
  return readSelections(reader).map(({ hash, indices }) => ({ bank: hashOfId(hash), indices }));
}

/** Those whose hash is known: a TPM may have banks of hashes that came later, such as SHA-3. */
export function readKnownPcrSelections(reader: TpmReader): readonly PcrSelection[] {
  return readSelections(reader).flatMap(({ hash, indices }) => {
    const bank = findHashOfId(hash);
    return bank === undefined ? [] : [{ bank, indices }];
  });
}

interface Selection {
  /** TPM_ALG_ID. */
  readonly hash: number;
  readonly indices: readonly number[];
}

function readSelections(reader: TpmReader): readonly Selection[] {
  const count = reader.u32();
  requireCheck('C19', count <= MAX_BANKS, `the quote selects from ${count} PCR banks, at most ${MAX_BANKS} are read`);
  const selections = Array.from({ length: count }, () => readSelection(reader));
  const hashes = new Set(selections.map(({ hash }) => hash));
  requireCheck('C19', hashes.size === count, 'the quote selects from one PCR bank twice');
  return selections;
}

function readSelection(reader: TpmReader): Selection {
  const hash = reader.u16();
  const size = reader.u8();
  requireCheck(
    'C19',
    size === 3 || size === 4,
    `sizeofSelect is ${size} in the quote's PCR selection, 3 or 4 are allowed`,
  );
  const bits = reader.take(size);
  const indices = Array.from({ length: size * 8 }, (_, index) => index).filter(
    (index) => ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0,
  );
  return { hash, indices };
}

/** TPML_PCR_SELECTION with three bytes of bits for each bank. */
export function encodePcrSelections(selections: readonly PcrSelection[]): Uint8Array {
  const encoded = selections.map(({ bank, indices }) => {
    const bits = new Uint8Array(SELECT_BYTES);
    for (const index of indices) {
      bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
    }
    return concat(u16(TPM_HASHES[bank].id), u8(SELECT_BYTES), bits);
  });
  return concat(u32(selections.length), ...encoded);
}
