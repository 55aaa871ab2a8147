import { hash } from 'node:crypto';
import { requireCheck } from '../../x509/require-check.ts';
import { TPM_HASHES } from '../algorithms.ts';
import { binaryText, ExtendedPcr, type ReplayedBank } from '../extended-pcr.ts';
import { imaFieldsOf } from './ima-fields.ts';
import type { ImaEntry } from './parse-ima-log.ts';

export const IMA_PCR = 10;

export interface ImaReplayOptions {
  readonly bank: ReplayedBank;
  /**
   * What a kernel does that lacks the bank's hash: it extends SHA-1, filled up with zeros. Then the bank is no better than
   * SHA-1, so this has to be asked for.
   */
  readonly isPaddedSha1?: boolean;
}

/** The part of a log that a PCR vouches for. */
export interface ImaPrefix {
  /** The entries that gave the value; what comes after was measured later, or is nobody's word. */
  readonly entryCount: number;
  /** Of these. */
  readonly violationCount: number;
}

/**
 * Finds the entries that PCR 10 is made of: the log may have gone on since the quote.
 *
 * @param value of PCR 10 in the bank, as quoted
 * @throws SpiffeError `ATTESTATION_DENIED` (E37 for an entry of another PCR, E39 where no prefix of the log gives the value)
 */
export function requireImaPrefix(
  entries: readonly ImaEntry[],
  value: Uint8Array,
  { bank, isPaddedSha1 = false }: ImaReplayOptions,
): ImaPrefix {
  const pcr = new ExtendedPcr(bank, new Uint8Array(TPM_HASHES[bank].size));
  const violation = '\xff'.repeat(TPM_HASHES[bank].size);
  const quoted = binaryText(value);
  let violationCount = 0;
  for (const entry of entries) {
    if (pcr.value === quoted) return { entryCount: entry.number, violationCount };
    if (entry.pcr !== IMA_PCR) {
      requireCheck('E37', false, `IMA entry ${entry.number} is for PCR ${entry.pcr}, not ${IMA_PCR}`);
    }
    if (entry.isViolation) violationCount += 1;
    pcr.extend(entry.isViolation ? violation : digestOf(entry, bank, isPaddedSha1));
  }
  requireCheck(
    'E39',
    pcr.value === quoted,
    `PCR ${IMA_PCR} is ${hex(value)} in bank ${bank}, which no part of the IMA log from its beginning gives; all ${entries.length} entries give ${hex(pcr.bytes)}`,
  );
  return { entryCount: entries.length, violationCount };
}

function digestOf({ templateDigest, templateData }: ImaEntry, bank: ReplayedBank, isPaddedSha1: boolean): string {
  return isPaddedSha1 ? binaryText(templateDigest) : hash(bank, templateData, 'binary');
}

/** PCRs that the first entry sums up: those of firmware, and since Linux 5.8 those of boot loader and kernel but for SHA-1. */
const AGGREGATED_PCRS = 10;
const AGGREGATED_PCRS_OF_SHA1 = 8;

/**
 * The log is of this boot: its first entry sums up the PCRs of firmware and boot loader.
 *
 * @param valuesOf PCR 0 to 9 of a bank
 * @throws SpiffeError `ATTESTATION_DENIED` (E38)
 */
export function requireBootAggregate(
  entries: readonly Pick<ImaEntry, 'number' | 'template' | 'templateData'>[],
  valuesOf: (bank: string) => ReadonlyMap<number, Uint8Array> | undefined,
): void {
  const [first] = entries;
  const fields = first && imaFieldsOf(first);
  requireCheck('E38', fields?.name === 'boot_aggregate', 'the IMA log does not begin with boot_aggregate');
  const { algorithm, digest } = fields;
  const values = valuesOf(algorithm);
  const count = algorithm === 'sha1' ? AGGREGATED_PCRS_OF_SHA1 : AGGREGATED_PCRS;
  const pcrs = Array.from({ length: count }, (_, index) => values?.get(index));
  requireCheck(
    'E38',
    pcrs.every((value) => value !== undefined),
    `boot_aggregate is by ${algorithm}, and PCR 0 to ${count - 1} of that bank are not known`,
  );
  const wanted = hash(algorithm, Buffer.concat(pcrs.filter((value) => value !== undefined)), 'buffer');
  requireCheck(
    'E38',
    wanted.equals(digest),
    `boot_aggregate is ${hex(digest)}, PCR 0 to ${count - 1} give ${hex(wanted)}: the IMA log is of another boot`,
  );
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
