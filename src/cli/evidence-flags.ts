import { SpiffeError } from '../spiffe/error.ts';
import type { StrongHash } from '../tpm/algorithms.ts';
import { MAX_EVIDENCE_BYTES, parseEvidence } from '../tpm/evidence/evidence-file.ts';
import { NONCE_BYTES, type RecordedEvidence } from '../tpm/evidence/recorded-evidence.ts';
import { MAX_PCR_INDEX } from '../tpm/pcr-selection.ts';
import { oneOf, toggle } from './flag-kinds.ts';
import { readInputBytes } from './read-input-file.ts';

/** What of the evidence is believed. */
export const evidenceFlags = {
  bank: oneOf('Bank to believe; auto is sha256 where it was quoted', ['auto', 'sha256', 'sha384', 'sha512']),
  allowPaddedSha1: toggle('Let a bank be what a kernel without its hash makes of it: no better than SHA-1'),
};

export const bankOf = (given: 'auto' | StrongHash) => (given === 'auto' ? undefined : given);

/** @throws SpiffeError `FILE_UNUSABLE`, `TOO_LARGE`, `TPM_DATA_INVALID` with the file's name */
export async function readEvidence(path: string): Promise<RecordedEvidence> {
  const content = await readInputBytes(path, MAX_EVIDENCE_BYTES);
  try {
    return parseEvidence(content);
  } catch (cause) {
    if (!(cause instanceof SpiffeError)) throw cause;
    throw new SpiffeError(cause.code, `"${path}": ${cause.message}`, { cause });
  }
}

/** @param given hex; empty for undefined. @throws SpiffeError `ARGUMENT_INVALID` */
export function readNonce(given: string): Uint8Array | undefined {
  if (given === '') return undefined;
  const { min, max } = NONCE_BYTES;
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(given) || given.length < min * 2 || given.length > max * 2) {
    throw new SpiffeError('ARGUMENT_INVALID', `-nonce: give ${min} to ${max} bytes in hexadecimal digits`);
  }
  return new Uint8Array(Buffer.from(given, 'hex'));
}

/** @param word of `-pcrs`. @throws SpiffeError `ARGUMENT_INVALID` */
export function readPcrIndex(word: string): number {
  if (/^\d{1,2}$/.test(word) && Number(word) <= MAX_PCR_INDEX) return Number(word);
  throw new SpiffeError('ARGUMENT_INVALID', `-pcrs: ${JSON.stringify(word)} is no PCR, 0 to ${MAX_PCR_INDEX} are`);
}
