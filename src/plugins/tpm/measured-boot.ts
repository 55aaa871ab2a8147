import type { StrongHash } from '../../tpm/algorithms.ts';
import { BOOT_PCRS } from '../../tpm/event-log/replay.ts';
import type { ImaEntry } from '../../tpm/ima/parse-ima-log.ts';
import { IMA_PCR } from '../../tpm/ima/replay-ima-log.ts';
import type { VerifiedQuote } from '../../tpm/quote.ts';
import { requireCheck } from '../../x509/require-check.ts';
import { IMA_START, ImaCollector, type ImaPosition } from './collect-ima.ts';
import type { BootLog } from './log-codec.ts';
import { receiveLog } from './receive-log.ts';

/** What is taken of each log at most. */
export const MAX_LOG_BYTES: Readonly<Record<BootLog, number>> = {
  event: 1024 * 1024,
  ima: 32 * 1024 * 1024,
  'command line': 64 * 1024,
};

/** The PCRs that a log is judged by; 0 to 9 also tell whether an IMA log is of this boot. */
export function pcrsOf(logs: readonly BootLog[]): readonly number[] {
  if (logs.length === 0) return [];
  return logs.includes('ima') ? [...BOOT_PCRS, IMA_PCR] : BOOT_PCRS;
}

export interface ImaEvidence {
  /** Where to go on in the log of this boot; from its beginning by default. */
  readonly from?: ImaPosition;
  readonly isPaddedSha1: boolean;
  readonly onEntry: (entry: ImaEntry) => void;
}

export interface BootLogsRequest {
  readonly logs: readonly BootLog[];
  readonly bank: StrongHash;
  readonly quote: VerifiedQuote;
  readonly ima: ImaEvidence;
  /** Throws where an answer was too late. */
  readonly requireInTime: () => Promise<void>;
}

/** The logs of a node, as far as it has them and they were wanted. */
export interface BootLogs {
  /** Not replayed yet. */
  readonly eventLog?: Uint8Array;
  /** Nobody's word. */
  readonly commandLineHint?: string;
  /** The part of the IMA log that the quote vouches for. */
  readonly ima?: ImaPosition;
}

/**
 * Asks a node for its logs, which it reads after the quote: yields requests, receives parts. The event log is held whole, the
 * IMA log is replayed as it comes.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (F42, F43, D26, E35 to E39)
 */
export async function* receiveBootLogs(request: BootLogsRequest): AsyncGenerator<Uint8Array, BootLogs, Uint8Array> {
  const { logs } = request;
  const eventLog = logs.includes('event') ? yield* receiveWhole('event', request) : undefined;
  const hint = logs.includes('command line') ? yield* receiveWhole('command line', request) : undefined;
  const ima = logs.includes('ima') ? yield* receiveIma(request) : undefined;
  return {
    ...(eventLog && { eventLog }),
    ...(hint && { commandLineHint: Buffer.from(hint).toString('utf8').replace(/\n$/, '') }),
    ...(ima && { ima }),
  };
}

async function* receiveWhole(
  log: 'event' | 'command line',
  { requireInTime }: BootLogsRequest,
): AsyncGenerator<Uint8Array, Uint8Array | undefined, Uint8Array> {
  const parts: Uint8Array[] = [];
  const take = (part: Uint8Array) => parts.push(part) > 0;
  const received = yield* receiveLog(log, { maxBytes: MAX_LOG_BYTES[log], take, requireInTime });
  return received === 'absent' ? undefined : Buffer.concat(parts);
}

async function* receiveIma({
  bank,
  quote,
  ima: { from = IMA_START, isPaddedSha1, onEntry },
  requireInTime,
}: BootLogsRequest): AsyncGenerator<Uint8Array, ImaPosition | undefined, Uint8Array> {
  const collector = new ImaCollector({ bank, pcrs: quote.pcrs, isPaddedSha1, from, onEntry });
  if (from.entryCount > 0 && collector.isComplete) return from;
  const received = yield* receiveLog('ima', {
    offset: from.byteCount,
    maxBytes: MAX_LOG_BYTES.ima,
    take: (part) => collector.take(part),
    requireInTime,
  });
  if (received !== 'absent') return collector.finish();
  requireCheck('E39', from.entryCount === 0, 'the node had an IMA log earlier in this boot, and has none now');
  return undefined;
}
