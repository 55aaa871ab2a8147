import { isSpiffeError } from '../spiffe/error.ts';
import { type JudgedEvent, judgeEvents } from '../tpm/event-log/judge-events.ts';
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
import { Problems } from './problems.ts';

/** An event log with what is wrong with it, for people. */
export interface ExaminedEventLog {
  readonly log: EventLog;
  /** Believed where they are in every bank. */
  readonly events: readonly JudgedEvent[];
  /** By bank and index. */
  readonly pcrs: ReadonlyMap<ReplayedBank, readonly ReplayedPcr[]>;
  /** Banks whose values the log gives. */
  readonly matching: readonly ReplayedBank[];
  /** Or why that cannot be told. */
  readonly secureBoot: SecureBoot | { readonly unknown: string };
  readonly problems: readonly string[];
}

/** @param values what a TPM has; without, nothing is compared */
export function examineEventLog(log: EventLog, values: PcrValues | undefined): ExaminedEventLog {
  const problems = new Problems();
  const pcrs = new Map<ReplayedBank, readonly ReplayedPcr[]>();
  const believed: ReadonlySet<LogEvent>[] = [];
  for (const bank of log.banks.filter(isReplayedBank)) {
    const replayed = problems.attempt(() => replayEventLog(log, bank));
    if (replayed !== undefined) pcrs.set(bank, replayed);
    const judged = problems.attempt(() => judgeEvents(log, bank)) ?? [];
    believed.push(new Set(judged.filter(({ isAuthenticated }) => isAuthenticated).map(({ event }) => event)));
  }
  const matching = [...(values ?? [])].flatMap(([bank, wanted]) => {
    const isMatching = problems.attempt(() => {
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
  return { log, events, pcrs, matching, secureBoot: findSecureBoot(events), problems: problems.messages };
}

function findSecureBoot(events: readonly JudgedEvent[]): ExaminedEventLog['secureBoot'] {
  try {
    return readSecureBoot(events);
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return { unknown: error.message };
  }
}
