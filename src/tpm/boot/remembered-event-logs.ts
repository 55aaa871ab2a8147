import { createHash } from 'node:crypto';
import type { StrongHash } from '../algorithms.ts';
import { BOOT_PCRS } from '../event-log/replay.ts';
import type { EventLogFacts } from './boot-facts.ts';

/** All that the facts of an event log are made of. */
export interface EventLogInputs {
  readonly bank: StrongHash;
  /** Of the bank, by index: from a verified quote. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly eventLog: Uint8Array;
  readonly commandLineHint: string | undefined;
}

/** What one machine's event log was found to say when it was last read. */
export interface RememberedEventLog {
  /** Undefined where any byte of the log, or of a PCR that it is replayed to, is another. */
  find(inputs: EventLogInputs): EventLogFacts | undefined;
  keep(inputs: EventLogInputs, facts: EventLogFacts): void;
}

interface Entry {
  readonly key: string;
  readonly facts: EventLogFacts;
  readonly logBytes: number;
}

/** Facts take about twice as much memory as the log that they were read from. */
const MAX_LOG_BYTES = 16 * 1024 * 1024;

/**
 * A machine sends the same event log each time that it attests in one boot. What a log says is a function of its bytes and of
 * the quoted PCRs, so it is not worked out again where both are what they were: their digest tells. Facts are kept only once the
 * log's replay has given the quote; one log an owner, and of too many those that were not asked for longest are forgotten.
 */
export class RememberedEventLogs {
  readonly #maxLogBytes: number;
  /** By owner; the one used last is last. */
  readonly #entries = new Map<string, Entry>();
  #logBytes = 0;

  constructor(maxLogBytes = MAX_LOG_BYTES) {
    this.#maxLogBytes = maxLogBytes;
  }

  /** @param owner who has proved to be it, such as an endorsement key by its hash */
  of(owner: string): RememberedEventLog {
    return {
      find: (inputs) => this.#find(owner, keyOf(inputs)),
      keep: (inputs, facts) => this.#keep(owner, { key: keyOf(inputs), facts, logBytes: inputs.eventLog.length }),
    };
  }

  #find(owner: string, key: string): EventLogFacts | undefined {
    const entry = this.#entries.get(owner);
    if (entry?.key !== key) return undefined;
    this.#entries.delete(owner);
    this.#entries.set(owner, entry);
    return entry.facts;
  }

  #keep(owner: string, entry: Entry): void {
    this.#forget(owner);
    if (entry.logBytes > this.#maxLogBytes) return;
    this.#entries.set(owner, entry);
    this.#logBytes += entry.logBytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#logBytes <= this.#maxLogBytes) break;
      this.#forget(oldest);
    }
  }

  #forget(owner: string): void {
    this.#logBytes -= this.#entries.get(owner)?.logBytes ?? 0;
    this.#entries.delete(owner);
  }
}

/** SHA-256 of it all, each with its length. Of a PCR that no event log is replayed to, such as IMA's, only counts that it was quoted. */
function keyOf({ bank, pcrs, eventLog, commandLineHint }: EventLogInputs): string {
  const values = [...pcrs].map(([index, value]) => [index, BOOT_PCRS.includes(index) ? hexOf(value) : '']);
  const frame = JSON.stringify([bank, values, commandLineHint ?? null, eventLog.length]);
  return createHash('sha256').update(`${frame.length} ${frame}`).update(eventLog).digest('hex');
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
