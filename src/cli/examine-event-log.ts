import { isSpiffeError } from '../spiffe/error.ts';
import { judgeEvents } from '../tpm/event-log/judge-events.ts';
import type { EventLog, LogEvent } from '../tpm/event-log/parse-event-log.ts';
import {
  isReplayedBank,
  type ReplayedBank,
  type ReplayedPcr,
  replayEventLog,
  requireReplay,
} from '../tpm/event-log/replay.ts';
import { readSecureBoot, type SecureBoot } from '../tpm/event-log/secure-boot.ts';
import type { PcrValues } from './parse-pcr-file.ts';

/** An event log with what is wrong with it, for people. */
export interface ExaminedEventLog {
  readonly log: EventLog;
  readonly events: readonly ExaminedEvent[];
  /** By bank and index. */
  readonly pcrs: ReadonlyMap<ReplayedBank, readonly ReplayedPcr[]>;
  /** Banks whose values the log gives. */
  readonly matching: readonly ReplayedBank[];
  /** Or why that cannot be told. */
  readonly secureBoot: SecureBoot | { readonly unknown: string };
  readonly problems: readonly string[];
}

export interface ExaminedEvent {
  readonly event: LogEvent;
  /** In every bank. */
  readonly isAuthenticated: boolean;
}

/** @param values what a TPM has; without, nothing is compared */
export function examineEventLog(log: EventLog, values: PcrValues | undefined): ExaminedEventLog {
  const problems = new Set<string>();
  const attempt = <Result>(work: () => Result): Result | undefined => {
    try {
      return work();
    } catch (error) {
      if (!isSpiffeError(error)) throw error;
      problems.add(error.message);
      return undefined;
    }
  };
  const pcrs = new Map<ReplayedBank, readonly ReplayedPcr[]>();
  const believed: ReadonlySet<LogEvent>[] = [];
  for (const bank of log.banks.filter(isReplayedBank)) {
    const replayed = attempt(() => replayEventLog(log, bank));
    if (replayed !== undefined) pcrs.set(bank, replayed);
    const judged = attempt(() => judgeEvents(log, bank)) ?? [];
    believed.push(new Set(judged.filter(({ isAuthenticated }) => isAuthenticated).map(({ event }) => event)));
  }
  const matching = [...(values ?? [])].flatMap(([bank, wanted]) => {
    const isMatching = attempt(() => {
      const replayed = pcrs.get(bank) ?? replayEventLog(log, bank);
      requireReplay(replayed, wanted);
      return true;
    });
    return isMatching === true ? [bank] : [];
  });
  const events = log.events.map((event) => ({
    event,
    isAuthenticated: believed.length > 0 && believed.every((set) => set.has(event)),
  }));
  return { log, events, pcrs, matching, secureBoot: findSecureBoot(events), problems: [...problems] };
}

function findSecureBoot(events: readonly ExaminedEvent[]): ExaminedEventLog['secureBoot'] {
  try {
    return readSecureBoot(events);
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return { unknown: error.message };
  }
}
