import { isSpiffeError } from '../../spiffe/error.ts';
import type { StrongHash } from '../algorithms.ts';
import { isErrorSeparator } from '../event-log/judge-events.ts';
import { runSlices, type Sliced } from '../slices.ts';
import type { BootFacts, EventLogFacts, Fact, ImaFacts } from './boot-facts.ts';
import { readCommandLine } from './command-line.ts';
import { readFirmwareFacts } from './firmware-facts.ts';
import { readGrubFacts } from './grub-facts.ts';
import { type ImaEvidence, readImaFacts } from './ima-facts.ts';
import { readLoaderFacts } from './loader-facts.ts';
import { MeasuredEvents, referenceTo } from './measured-events.ts';
import type { EventLogInputs, RememberedEventLog } from './remembered-event-logs.ts';
import { readSecureBootFacts } from './secure-boot-facts.ts';
import { readUkiFacts } from './uki-facts.ts';

/** Values of PCRs that a verified quote covers, by index. */
export type QuotedPcrs = ReadonlyMap<number, Uint8Array>;

export interface BootEvidence {
  /** The bank to believe, which is one of those quoted. */
  readonly bank: StrongHash;
  /** Others than `bank` are read for what `boot_aggregate` sums up alone. */
  readonly quoted: ReadonlyMap<StrongHash, QuotedPcrs>;
  /** As `/sys/kernel/security/tpm0/binary_bios_measurements` has it. Without, only PCR values are known. */
  readonly eventLog?: Uint8Array | undefined;
  /** What this machine's event log said before: it is read again only where it is another. */
  readonly remembered?: RememberedEventLog | undefined;
  /** The text of /proc/cmdline without the line feed: believed where a digest is of it. */
  readonly commandLineHint?: string | undefined;
  readonly ima?: ImaEvidence | undefined;
}

/**
 * Reads what a machine booted out of its logs: what comes back rests on quoted PCRs alone.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` for an event log that is malformed or that the PCRs do not confirm (D25 to D30), and
 *   for an IMA log of which that is so (E35 to E39); what sound logs do not say is an `unknown` of its own
 */
export function readBootFacts(evidence: BootEvidence): BootFacts {
  return runSlices(readBootFactsInSlices(evidence));
}

/** The same, in slices. */
export function* readBootFactsInSlices(evidence: BootEvidence): Sliced<BootFacts> {
  const { bank, quoted, ima } = evidence;
  const pcrs = quoted.get(bank) ?? new Map<number, Uint8Array>();
  const boot = yield* recallEventLog(evidence, pcrs);
  return { bank, pcrs, ...boot, ima: ima === undefined ? NO_IMA : yield* readImaFacts(ima, bank, quoted) };
}

const NO_IMA: Fact<ImaFacts> = { unknown: 'no IMA log came with the quote' };

function* recallEventLog(
  { bank, eventLog, commandLineHint, remembered }: BootEvidence,
  pcrs: QuotedPcrs,
): Sliced<EventLogFacts> {
  if (eventLog === undefined) {
    const none = { unknown: 'no event log came with the quote' };
    return { failures: [], firmware: none, secureBoot: none, loaders: none, grub: none, uki: none, commandLine: none };
  }
  const inputs = { bank, pcrs, eventLog, commandLineHint };
  const known = remembered?.find(inputs);
  if (known !== undefined) return known;
  const facts = yield* readEventLog(inputs);
  remembered?.keep(inputs, facts);
  return facts;
}

function* readEventLog({ bank, pcrs, eventLog, commandLineHint }: EventLogInputs): Sliced<EventLogFacts> {
  const events = yield* MeasuredEvents.read(eventLog, bank, pcrs);
  yield;
  const failures = [...events.all()].flatMap(({ event }) => (isErrorSeparator(event) ? [referenceTo(event)] : []));
  const firmware = attempt(() => readFirmwareFacts(events));
  const secureBoot = attempt(() => readSecureBootFacts(events));
  const loaders = attempt(() => readLoaderFacts(events));
  yield;
  const grub = attempt(() => readGrubFacts(events));
  yield;
  const uki = attempt(() => readUkiFacts(events));
  const commandLine = attempt(() => readCommandLine(events, commandLineHint));
  return { failures, firmware, secureBoot, loaders, grub, uki, commandLine };
}

function attempt<T>(read: () => T): Fact<T> {
  try {
    return read();
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return { unknown: error.message };
  }
}
