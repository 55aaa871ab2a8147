import { requireCheck } from '../../x509/require-check.ts';
import type { StrongHash } from '../algorithms.ts';
import { describeEvent } from '../event-log/describe-event.ts';
import { EVENT_TYPE, eventTypeName } from '../event-log/event-types.ts';
import { type JudgedEvent, judgeEventsInSlices } from '../event-log/judge-events.ts';
import { type LogEvent, parseEventLogInSlices } from '../event-log/parse-event-log.ts';
import { replayEventLogInSlices, requireReplay } from '../event-log/replay.ts';
import type { Sliced } from '../slices.ts';
import type { EventReference, MeasuredDigest } from './boot-facts.ts';
import { findPhases, PHASE_PCR } from './boot-phases.ts';

/** The events of a log whose replay a quote confirms, by PCR. */
export class MeasuredEvents {
  readonly bank: StrongHash;
  /** What systemd measured into PCR 11 after the log ended. */
  readonly phases: readonly string[];
  readonly #pcrs: ReadonlyMap<number, readonly JudgedEvent[]>;

  private constructor(bank: StrongHash, phases: readonly string[], pcrs: ReadonlyMap<number, readonly JudgedEvent[]>) {
    this.bank = bank;
    this.phases = phases;
    this.#pcrs = pcrs;
  }

  /**
   * Reads a log, in slices.
   *
   * @param quoted by index; what was measured into other PCRs is left out
   * @throws SpiffeError `ATTESTATION_DENIED` (D25 to D30)
   */
  static *read(bytes: Uint8Array, bank: StrongHash, quoted: ReadonlyMap<number, Uint8Array>): Sliced<MeasuredEvents> {
    const log = yield* parseEventLogInSlices(bytes);
    const replayed = yield* replayEventLogInSlices(log, bank);
    const phased = replayed[PHASE_PCR];
    const phases =
      phased !== undefined && phased.eventCount > 0
        ? findPhases(bank, phased.value, quoted.get(PHASE_PCR) ?? phased.value)
        : undefined;
    const others = new Map([...quoted].filter(([index]) => index !== PHASE_PCR));
    requireReplay(replayed, phases === undefined ? quoted : others);
    const pcrs = new Map<number, JudgedEvent[]>([...quoted.keys()].map((index) => [index, []]));
    for (const judged of yield* judgeEventsInSlices(log, bank)) {
      if (judged.event.type !== EVENT_TYPE.EV_NO_ACTION) pcrs.get(judged.event.pcr)?.push(judged);
    }
    return new MeasuredEvents(bank, phases ?? [], pcrs);
  }

  /**
   * What extended a PCR, in that order; the order between PCRs is nobody's word.
   *
   * @throws SpiffeError `ATTESTATION_DENIED` (C22) where the quote does not cover the PCR
   */
  of(pcr: number): readonly JudgedEvent[] {
    const events = this.#pcrs.get(pcr);
    requireCheck('C22', events !== undefined, `PCR ${pcr} is not in the quote`);
    return events;
  }

  all(): Iterable<JudgedEvent> {
    return [...this.#pcrs.values()].flat();
  }

  digestOf({ digests }: LogEvent): string {
    return Buffer.from(digests.get(this.bank) ?? []).toString('hex');
  }

  /** An event of which only the digest counts. */
  toDigest(event: LogEvent): MeasuredDigest {
    return { digest: this.digestOf(event), hint: describeEvent(event), event: referenceTo(event) };
  }
}

export function referenceTo({ number, pcr, type }: LogEvent): EventReference {
  return { number, pcr, type: eventTypeName(type) };
}

export const isSeparator = ({ event: { type } }: JudgedEvent): boolean => type === EVENT_TYPE.EV_SEPARATOR;
