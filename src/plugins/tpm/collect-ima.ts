import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StrongHash } from '../../tpm/algorithms.ts';
import { ImaLogStream } from '../../tpm/ima/ima-log-stream.ts';
import type { ImaEntry } from '../../tpm/ima/parse-ima-log.ts';
import { IMA_PCR, ImaReplay, requireBootAggregate } from '../../tpm/ima/replay-ima-log.ts';

/** How far an IMA log was replayed: PCR 10 as it was after so many entries, which are so many bytes. */
export interface ImaPosition {
  readonly entryCount: number;
  readonly violationCount: number;
  readonly byteCount: number;
  /** PCR 10 in the bank. */
  readonly value: Uint8Array;
}

export const IMA_START: ImaPosition = { entryCount: 0, violationCount: 0, byteCount: 0, value: new Uint8Array(0) };

/** Entries between two turns of the event loop. */
const SLICE_ENTRIES = 500;

export interface ImaCollectorOptions {
  readonly bank: StrongHash;
  /** As quoted, by index: PCR 10, and 0 to 9. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly isPaddedSha1: boolean;
  readonly from: ImaPosition;
  /** Told of each entry, in order, before it is known whether the quote has it: a log that does not give PCR 10 is refused in the end. */
  readonly onEntry: (entry: ImaEntry) => void;
}

/**
 * Replays an IMA log as it comes, up to the entry at which it gives PCR 10 as quoted; what comes after that is not looked at.
 * Between slices of entries everybody else gets a turn.
 */
export class ImaCollector {
  readonly #options: ImaCollectorOptions;
  readonly #stream: ImaLogStream;
  readonly #replay: ImaReplay;
  readonly #wanted: Uint8Array;

  constructor(options: ImaCollectorOptions) {
    const { bank, isPaddedSha1, from, pcrs } = options;
    this.#options = options;
    this.#stream = new ImaLogStream(from);
    this.#replay = new ImaReplay({ bank, isPaddedSha1 }, from);
    this.#wanted = pcrs.get(IMA_PCR) ?? new Uint8Array(0);
  }

  /** Whether the entries so far are those of the quote. */
  get isComplete(): boolean {
    return this.#replay.gives(this.#wanted);
  }

  /** @returns whether more of the log is needed. @throws SpiffeError `ATTESTATION_DENIED` (E35, E37, E38) */
  async take(part: Uint8Array): Promise<boolean> {
    let ofSlice = 0;
    for (const entry of this.#stream.push(part)) {
      if (entry.number === 0) this.#requireOfThisBoot(entry);
      this.#replay.extend(entry);
      this.#options.onEntry(entry);
      if (this.isComplete) return false;
      ofSlice += 1;
      if (ofSlice % SLICE_ENTRIES === 0) await nextTurn();
    }
    return true;
  }

  /** Once the log has ended. @throws SpiffeError `ATTESTATION_DENIED` (E38 for a log without entries, E39) */
  finish(): ImaPosition {
    this.#replay.requireGiven(this.#wanted);
    const { prefix } = this.#replay;
    if (prefix.entryCount === 0) this.#requireOfThisBoot(undefined);
    return { ...prefix, byteCount: this.#stream.byteCount, value: this.#wanted };
  }

  #requireOfThisBoot(first: ImaEntry | undefined): void {
    const { bank, pcrs } = this.#options;
    requireBootAggregate(first === undefined ? [] : [first], (name) => (name === bank ? pcrs : undefined));
  }
}
