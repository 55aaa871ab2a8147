import { hash } from 'node:crypto';
import { requireCheck } from '../../x509/require-check.ts';
import { type StrongHash, TPM_HASHES } from '../algorithms.ts';
import { binaryText, ExtendedPcr } from '../extended-pcr.ts';
import { type ImaRecord, readImaRecords } from '../ima/parse-ima-log.ts';
import { IMA_PCR, requireBootAggregate } from '../ima/replay-ima-log.ts';
import type { Sliced } from '../slices.ts';
import type { EventReference, Fact, ImaCheckpoint, ImaFacts, ImaFile } from './boot-facts.ts';
import { MeasuredFile } from './measured-file.ts';

export interface ImaEvidence {
  /** `/sys/kernel/security/ima/binary_runtime_measurements`, or of it what comes behind `after`. */
  readonly log: Uint8Array;
  /** Where an earlier reading in this boot ended. */
  readonly after?: ImaCheckpoint | undefined;
  /** How many entries the whole log had before in this boot, where it is sent whole: it never gets shorter. */
  readonly atLeast?: number | undefined;
  /** Whether to believe a bank that the kernel fills with SHA-1, as it does where it lacks the bank's hash. */
  readonly allowPaddedSha1?: boolean | undefined;
}

/** What is read before the caller may do something else: half a millisecond to a millisecond. */
const SLICE = { entries: 256, bytes: 256 * 1024 };

/** Extended for a violation, of whatever kind the kernel is. */
const VIOLATION: Readonly<Record<StrongHash, string>> = {
  sha256: '\xff'.repeat(32),
  sha384: '\xff'.repeat(48),
  sha512: '\xff'.repeat(64),
};

/** PCR 10 as one of two kinds of kernel makes it. */
interface Replay {
  readonly pcr: ExtendedPcr;
  readonly isPaddedSha1: boolean;
}

/**
 * Reads the entries that a quote vouches for, which may be fewer than the log has. Yields now and then, so that a caller can
 * do something else in between.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (C22, E35, E37 to E39)
 */
export function* readImaFacts(
  { log, after, atLeast = 0, allowPaddedSha1 = false }: ImaEvidence,
  bank: StrongHash,
  quoted: ReadonlyMap<StrongHash, ReadonlyMap<number, Uint8Array>>,
): Sliced<Fact<ImaFacts>> {
  const bytes = Buffer.from(log.buffer, log.byteOffset, log.length);
  const value = quoted.get(bank)?.get(IMA_PCR);
  requireCheck('C22', value !== undefined, `PCR ${IMA_PCR} is not in the quote`);
  const start = after?.pcr ?? new Uint8Array(TPM_HASHES[bank].size);
  const replays = startReplays(bank, start, after, allowPaddedSha1);
  const quotedValue = binaryText(value);
  const files: ImaFile[] = [];
  const first = after?.entryCount ?? 0;
  let [violationCount, violation]: [number, EventReference | undefined] = [after?.violationCount ?? 0, undefined];
  let [entryCount, byteCount] = [first, 0];
  let found = replays.find(({ pcr }) => pcr.value === quotedValue);
  let [sliceEntries, sliceBytes] = [0, 0];
  for (const entry of readImaRecords(bytes)) {
    if (found !== undefined) break;
    const number = entryCount;
    entryCount += 1;
    byteCount = entry.end;
    if (entry.pcr !== IMA_PCR) {
      requireCheck('E37', false, `IMA entry ${number} is for PCR ${entry.pcr}, not ${IMA_PCR}`);
    }
    if (number === 0) requireBootAggregate([entry], (name) => bankOf(quoted, name));
    else files.push(new MeasuredFile(number, entry, bytes));
    if (entry.isViolation) {
      violationCount += 1;
      violation = { number, pcr: IMA_PCR, type: entry.template };
    }
    for (const replay of replays) {
      replay.pcr.extend(digestOf(entry, replay, bytes, bank));
      if (replay.pcr.value === quotedValue) found ??= replay;
    }
    sliceEntries += 1;
    sliceBytes += entry.templateData.length;
    if (sliceEntries >= SLICE.entries || sliceBytes >= SLICE.bytes) {
      [sliceEntries, sliceBytes] = [0, 0];
      yield;
    }
  }
  requireCheck(
    'E39',
    found !== undefined,
    `PCR ${IMA_PCR} is ${hex(value)} in bank ${bank}, which no part of the IMA log from ${
      first === 0 ? 'its beginning' : `entry ${first}`
    } gives`,
  );
  requireCheck(
    'E39',
    entryCount >= atLeast,
    `the quote vouches for ${entryCount} entries of the IMA log, and had ${atLeast} before in this boot`,
  );
  if (entryCount === 0) return { unknown: 'nothing was measured into PCR 10: IMA is off' };
  return {
    entryCount,
    violationCount,
    violation,
    isPaddedSha1: found.isPaddedSha1,
    files,
    after,
    pcr: found.pcr.bytes,
    byteCount,
  };
}

function startReplays(
  bank: StrongHash,
  start: Uint8Array,
  after: ImaCheckpoint | undefined,
  allowPaddedSha1: boolean,
): readonly Replay[] {
  const kinds = after === undefined ? [false, ...(allowPaddedSha1 ? [true] : [])] : [after.isPaddedSha1];
  return kinds.map((isPaddedSha1) => ({ pcr: new ExtendedPcr(bank, start), isPaddedSha1 }));
}

/** What an entry extends, as text of a byte a character. */
function digestOf(
  { isViolation, templateData, templateDigestAt }: ImaRecord,
  { isPaddedSha1 }: Replay,
  log: Buffer,
  bank: StrongHash,
): string {
  if (isViolation) return VIOLATION[bank];
  if (!isPaddedSha1) return hash(bank, templateData, 'binary');
  return log.toString('latin1', templateDigestAt, templateDigestAt + TPM_HASHES.sha1.size);
}

function bankOf(
  quoted: ReadonlyMap<StrongHash, ReadonlyMap<number, Uint8Array>>,
  name: string,
): ReadonlyMap<number, Uint8Array> | undefined {
  return quoted.get(name as StrongHash);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
