import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import { isReplayedBank, type ReplayedBank } from '../tpm/event-log/replay.ts';
import { type ImaFields, imaFieldsOf } from '../tpm/ima/ima-fields.ts';
import type { ImaEntry } from '../tpm/ima/parse-ima-log.ts';
import { IMA_PCR, type ImaPrefix, requireBootAggregate, requireImaPrefix } from '../tpm/ima/replay-ima-log.ts';
import type { PcrValues } from './parse-pcr-file.ts';
import { Problems } from './problems.ts';

/** An IMA log with what is wrong with it, for people. */
export interface ExaminedImaLog {
  readonly entries: readonly ExaminedImaEntry[];
  /** By bank: what part of the log the TPM has. */
  readonly prefixes: ReadonlyMap<ReplayedBank, ImaPrefix & { readonly isPaddedSha1: boolean }>;
  readonly problems: readonly string[];
}

export interface ExaminedImaEntry {
  readonly entry: ImaEntry;
  /** Undefined where they cannot be read. */
  readonly fields: ImaFields | undefined;
}

export interface ImaComparison {
  readonly values: PcrValues;
  /** Whether a bank may be what a kernel makes of it that lacks its hash. */
  readonly allowsPaddedSha1: boolean;
}

/** @param comparison what a TPM has; without, nothing is compared */
export function examineImaLog(log: readonly ImaEntry[], comparison: ImaComparison | undefined): ExaminedImaLog {
  const problems = new Problems();
  const entries = log.map((entry) => ({ entry, fields: problems.attempt(() => imaFieldsOf(entry)) }));
  const prefixes = new Map<ReplayedBank, ImaPrefix & { readonly isPaddedSha1: boolean }>();
  if (comparison === undefined) return { entries, prefixes, problems: problems.messages };
  const { values, allowsPaddedSha1 } = comparison;
  for (const [bank, pcrs] of values) {
    const prefix = problems.attempt(() => findPrefix(log, bank, pcrs.get(IMA_PCR), allowsPaddedSha1));
    if (prefix !== undefined) prefixes.set(bank, prefix);
  }
  problems.attempt(() => requireBootAggregate(log, (bank) => (isReplayedBank(bank) ? values.get(bank) : undefined)));
  return { entries, prefixes, problems: problems.messages };
}

function findPrefix(
  log: readonly ImaEntry[],
  bank: ReplayedBank,
  value: Uint8Array | undefined,
  allowsPaddedSha1: boolean,
): ImaPrefix & { readonly isPaddedSha1: boolean } {
  if (value === undefined) {
    throw new SpiffeError('ARGUMENT_INVALID', `the PCR file has no value of PCR ${IMA_PCR} in bank ${bank}`);
  }
  try {
    return { ...requireImaPrefix(log, value, { bank }), isPaddedSha1: false };
  } catch (error) {
    if (!allowsPaddedSha1 || !isSpiffeError(error)) throw error;
    return { ...requireImaPrefix(log, value, { bank, isPaddedSha1: true }), isPaddedSha1: true };
  }
}
