import { requireCheck } from '../../x509/require-check.ts';
import { type BootLog, decodeLogChunk, encodeLogRequest, type LogRequest, MAX_CHUNK_BYTES } from './log-codec.ts';

const NAMES: Readonly<Record<BootLog, string>> = { event: 'event log', ima: 'IMA log', 'command line': 'command line' };

export interface ReceiveLogOptions {
  /** Where to begin, in bytes. */
  readonly offset?: number;
  /** Of the whole log, what is before `offset` included. */
  readonly maxBytes: number;
  readonly take: (part: Uint8Array) => void;
  /** Throws where an answer was too late. */
  readonly requireInTime: () => Promise<void>;
}

/**
 * Asks a node for a log, part by part: yields requests, receives parts. It is the server that says how much it takes, so
 * nothing larger ever comes than one part, nor more than `maxBytes`.
 *
 * @returns whether the node has that log.
 * @throws SpiffeError `ATTESTATION_DENIED` (F42 for a part or a log that is too large or never ends, F43 for a part that
 *   was not asked for)
 */
export async function* receiveLog(
  log: BootLog,
  { offset: start = 0, maxBytes, take, requireInTime }: ReceiveLogOptions,
): AsyncGenerator<Uint8Array, boolean, Uint8Array> {
  for (let offset = start; ; ) {
    requireCheck(
      'F42',
      offset < maxBytes,
      `the node has more than ${maxBytes} bytes of its ${NAMES[log]}, which is the most that is read`,
    );
    const request: LogRequest = { log, offset, length: Math.min(MAX_CHUNK_BYTES, maxBytes - offset) };
    const message = yield encodeLogRequest(request);
    await requireInTime();
    const part = decodeLogChunk(message);
    requireCheck(
      'F43',
      part.log === log && part.offset === offset,
      `a part of the ${NAMES[part.log]} from byte ${part.offset} came, where the ${NAMES[log]} from byte ${offset} was asked for`,
    );
    if (part.state === 'absent') return false;
    const { length } = part.bytes;
    requireCheck(
      'F42',
      length <= request.length,
      `${length} bytes of the ${NAMES[log]} came, ${request.length} were asked for`,
    );
    const isMoving = part.state === 'end' || length > 0;
    requireCheck('F42', isMoving, `an empty part of the ${NAMES[log]} came, and there is to be more`);
    take(part.bytes);
    if (part.state === 'end') return true;
    offset += length;
  }
}
