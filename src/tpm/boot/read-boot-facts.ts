import { isSpiffeError } from '../../spiffe/error.ts';
import type { StrongHash } from '../algorithms.ts';
import { isErrorSeparator } from '../event-log/judge-events.ts';
import type { BootFacts, Fact } from './boot-facts.ts';
import { readCommandLine } from './command-line.ts';
import { MeasuredEvents, referenceTo } from './measured-events.ts';
import { readSecureBootFacts } from './secure-boot-facts.ts';

/** Values of PCRs that a verified quote covers, by index. */
export type QuotedPcrs = ReadonlyMap<number, Uint8Array>;

export interface BootEvidence {
  /** The bank to believe, which is one of those quoted. */
  readonly bank: StrongHash;
  readonly quoted: ReadonlyMap<StrongHash, QuotedPcrs>;
  /** As `/sys/kernel/security/tpm0/binary_bios_measurements` has it. Without, only PCR values are known. */
  readonly eventLog?: Uint8Array;
  /** The text of /proc/cmdline: believed where a digest is of it. */
  readonly commandLineHint?: string;
}

/**
 * Reads what a machine booted out of its logs: what comes back rests on quoted PCRs alone.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` for a log that is malformed or that the PCRs do not confirm (D25 to D30);
 *   what a sound log does not say is an `unknown` of its own
 */
export function readBootFacts(evidence: BootEvidence): BootFacts {
  const { bank, eventLog } = evidence;
  const pcrs = evidence.quoted.get(bank) ?? new Map<number, Uint8Array>();
  if (eventLog === undefined) {
    const unknown = { unknown: 'no event log came with the quote' };
    return { bank, pcrs, failures: [], secureBoot: unknown, commandLine: unknown };
  }
  const events = MeasuredEvents.read(eventLog, bank, pcrs);
  return {
    bank,
    pcrs,
    failures: [...events.all()].flatMap(({ event }) => (isErrorSeparator(event) ? [referenceTo(event)] : [])),
    secureBoot: attempt(() => readSecureBootFacts(events)),
    commandLine: attempt(() => readCommandLine(events, evidence.commandLineHint)),
  };
}

function attempt<T>(read: () => T): Fact<T> {
  try {
    return read();
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return { unknown: error.message };
  }
}
