import { hash } from 'node:crypto';
import { isSpiffeError } from '../../spiffe/error.ts';
import { requireCheck } from '../../x509/require-check.ts';
import { type StrongHash, TPM_HASHES } from '../algorithms.ts';
import { type ImaFields, imaFieldsOf } from '../ima/ima-fields.ts';
import { type ImaEntry, readImaEntries } from '../ima/parse-ima-log.ts';
import { IMA_PCR, requireBootAggregate } from '../ima/replay-ima-log.ts';
import type { EventReference, Fact, ImaCheckpoint, ImaFacts, ImaFile } from './boot-facts.ts';

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

/** Entries that are read before the caller may do something else. */
const ENTRIES_A_SLICE = 1_000;

interface Replay {
  readonly pcr: Buffer;
  /** Room for the value and what extends it. */
  readonly extended: Buffer;
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
): Generator<void, Fact<ImaFacts>> {
  const value = quoted.get(bank)?.get(IMA_PCR);
  requireCheck('C22', value !== undefined, `PCR ${IMA_PCR} is not in the quote`);
  const start = Buffer.from(after?.pcr ?? new Uint8Array(TPM_HASHES[bank].size));
  const replays = startReplays(start, after, allowPaddedSha1);
  const files: ImaFile[] = [];
  const first = after?.entryCount ?? 0;
  let [violationCount, violation]: [number, EventReference | undefined] = [after?.violationCount ?? 0, undefined];
  let entryCount = first;
  let found = replays.find(({ pcr }) => pcr.equals(value));
  for (const entry of readImaEntries(log)) {
    if (found !== undefined) break;
    const number = entryCount;
    entryCount += 1;
    requireCheck('E37', entry.pcr === IMA_PCR, `IMA entry ${number} is for PCR ${entry.pcr}, not ${IMA_PCR}`);
    if (number === 0) requireBootAggregate([entry], (name) => bankOf(quoted, name));
    else files.push(toFile(entry, number));
    if (entry.isViolation) {
      violationCount += 1;
      violation = { number, pcr: IMA_PCR, type: entry.template };
    }
    for (const replay of replays) extend(replay, entry, bank);
    found = replays.find(({ pcr }) => pcr.equals(value));
    if (entry.number % ENTRIES_A_SLICE === ENTRIES_A_SLICE - 1) yield;
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
  return { entryCount, violationCount, violation, isPaddedSha1: found.isPaddedSha1, files, after, pcr: found.pcr };
}

function startReplays(
  start: Uint8Array,
  after: ImaCheckpoint | undefined,
  allowPaddedSha1: boolean,
): readonly Replay[] {
  const kinds = after === undefined ? [false, ...(allowPaddedSha1 ? [true] : [])] : [after.isPaddedSha1];
  return kinds.map((isPaddedSha1) => ({
    pcr: Buffer.from(start),
    extended: Buffer.alloc(start.length * 2),
    isPaddedSha1,
  }));
}

function extend({ pcr, extended, isPaddedSha1 }: Replay, entry: ImaEntry, bank: StrongHash): void {
  extended.set(pcr);
  extended.fill(entry.isViolation ? 0xff : 0, pcr.length);
  if (!entry.isViolation) {
    extended.set(isPaddedSha1 ? entry.templateDigest : hash(bank, entry.templateData, 'buffer'), pcr.length);
  }
  pcr.set(hash(bank, extended, 'buffer'));
}

const NOTHING = new Uint8Array();

/** What cannot be read says nothing: a rule on files refuses it. */
function toFile(entry: ImaEntry, number: number): ImaFile {
  const { template, isViolation } = entry;
  const fields = isViolation ? undefined : findFields(entry);
  if (fields === undefined) return { number, template, isViolation, name: undefined, digest: '', signature: NOTHING };
  const { algorithm, digestType, name, signature = NOTHING } = fields;
  const digest = `${algorithm}:${hex(fields.digest)}`;
  return {
    number,
    template,
    isViolation,
    name,
    digest: digestType === 'ima' ? digest : `${digestType}:${digest}`,
    signature,
  };
}

function findFields(entry: ImaEntry): ImaFields | undefined {
  try {
    return imaFieldsOf(entry);
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return undefined;
  }
}

function bankOf(
  quoted: ReadonlyMap<StrongHash, ReadonlyMap<number, Uint8Array>>,
  name: string,
): ReadonlyMap<number, Uint8Array> | undefined {
  return quoted.get(name as StrongHash);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
