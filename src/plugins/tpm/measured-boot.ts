import type { BootLog } from './log-codec.ts';
import { receiveLog } from './receive-log.ts';

/** What is taken of each log at most. */
export const MAX_LOG_BYTES: Readonly<Record<BootLog, number>> = {
  event: 1024 * 1024,
  ima: 32 * 1024 * 1024,
  'command line': 64 * 1024,
};

/** What firmware and boot loaders measure into: never 16 and 23, which software can reset. */
const BOOT_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15];
const IMA_PCR = 10;

/** The PCRs that a log is judged by; 0 to 9 also tell whether an IMA log is of this boot. */
export function pcrsOf(logs: readonly BootLog[]): readonly number[] {
  if (logs.length === 0) return [];
  return logs.includes('ima') ? [...BOOT_PCRS, IMA_PCR] : BOOT_PCRS;
}

export interface BootLogsRequest {
  readonly logs: readonly BootLog[];
  /** Where to begin in the IMA log, in bytes: what is before that was read earlier in this boot. */
  readonly imaOffset: number;
  /** Throws where an answer was too late. */
  readonly requireInTime: () => Promise<void>;
}

/** The logs of a node, as far as it has them and they were wanted. Nothing of them is proven yet. */
export interface BootLogs {
  readonly eventLog?: Uint8Array;
  readonly commandLineHint?: string;
  readonly imaLog?: Uint8Array;
}

/**
 * Asks a node for its logs, which it reads after the quote: yields requests, receives parts.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (F42, F43)
 */
export async function* receiveBootLogs(request: BootLogsRequest): AsyncGenerator<Uint8Array, BootLogs, Uint8Array> {
  const eventLog = yield* receiveWhole('event', request);
  const hint = yield* receiveWhole('command line', request);
  const imaLog = yield* receiveWhole('ima', request, request.imaOffset);
  return {
    ...(eventLog && { eventLog }),
    ...(hint && { commandLineHint: Buffer.from(hint).toString('utf8').replace(/\n$/, '') }),
    ...(imaLog && { imaLog }),
  };
}

/** @returns undefined where it was not wanted, or the node has none. */
async function* receiveWhole(
  log: BootLog,
  { logs, requireInTime }: BootLogsRequest,
  offset = 0,
): AsyncGenerator<Uint8Array, Uint8Array | undefined, Uint8Array> {
  if (!logs.includes(log)) return undefined;
  const parts: Uint8Array[] = [];
  const isThere = yield* receiveLog(log, {
    offset,
    maxBytes: MAX_LOG_BYTES[log],
    take: (part) => parts.push(part),
    requireInTime,
  });
  return isThere ? Buffer.concat(parts) : undefined;
}
