import { SpiffeError } from '../../spiffe/error.ts';
import { requireCheck } from '../../x509/require-check.ts';
import { MessageReader, MessageWriter } from './message.ts';

/**
 * The logs of a measured boot, by the bit that each has in a challenge: of firmware and boot loader, of the kernel's IMA, and
 * the kernel's command line, which is only a hint where a digest of it was measured.
 */
export const BOOT_LOGS = { event: 1, ima: 2, 'command line': 4 } as const;
export type BootLog = keyof typeof BOOT_LOGS;

/** Server to agent, as often as it takes: the next part of a log. */
export interface LogRequest {
  readonly log: BootLog;
  /** In bytes from the beginning of the log. */
  readonly offset: number;
  /** At most so many bytes. */
  readonly length: number;
}

/** Agent to server, one for each request. */
export interface LogChunk {
  readonly log: BootLog;
  readonly offset: number;
  /** `more`: the log may go on. `end`: it had no more when it was read. `absent`: this node keeps no such log. */
  readonly state: ChunkState;
  readonly bytes: Uint8Array;
}
export type ChunkState = (typeof CHUNK_STATES)[number];

const CHUNK_STATES = ['more', 'end', 'absent'] as const;
/** Far below the 4 MiB of a gRPC message. */
export const MAX_CHUNK_BYTES = 1024 * 1024;
const CHUNK_HEADER_BYTES = 64;

export function* bootLogs(): Iterable<BootLog> {
  for (const log in BOOT_LOGS) yield log as BootLog;
}

export function encodeLogRequest({ log, offset, length }: LogRequest): Uint8Array {
  return new MessageWriter('log request', 2).u8(BOOT_LOGS[log]).u32(offset).u32(length).finish();
}

/** @throws SpiffeError `TPM_DATA_INVALID` */
export function decodeLogRequest(bytes: Uint8Array): LogRequest {
  const reader = new MessageReader(bytes, 'log request', [2]);
  const log = readLog(reader);
  const offset = reader.u32('the offset');
  const length = reader.u32('the length');
  reader.end();
  if (length === 0 || length > MAX_CHUNK_BYTES) {
    throw new SpiffeError(
      'TPM_DATA_INVALID',
      `the server asks for ${length} bytes of a log at once, 1 to ${MAX_CHUNK_BYTES} are sent`,
    );
  }
  return { log, offset, length };
}

export function encodeLogChunk({ log, offset, state, bytes }: LogChunk): Uint8Array {
  return new MessageWriter('log chunk', 2)
    .u8(BOOT_LOGS[log])
    .u32(offset)
    .u8(CHUNK_STATES.indexOf(state))
    .rest(bytes)
    .finish();
}

/**
 * @returns bytes that share memory with the message.
 * @throws SpiffeError `TPM_DATA_INVALID`; `ATTESTATION_DENIED` (F42) for more than {@link MAX_CHUNK_BYTES}
 */
export function decodeLogChunk(message: Uint8Array): LogChunk {
  requireCheck(
    'F42',
    message.length <= MAX_CHUNK_BYTES + CHUNK_HEADER_BYTES,
    `a part of a log has ${message.length} bytes, ${MAX_CHUNK_BYTES} are asked for at once at most`,
  );
  const reader = new MessageReader(message, 'log chunk', [2]);
  const log = readLog(reader);
  const offset = reader.u32('the offset');
  const number = reader.u8('the state');
  const state = CHUNK_STATES[number];
  if (state === undefined) throw new SpiffeError('TPM_DATA_INVALID', `a part of a log has the unknown state ${number}`);
  return { log, offset, state, bytes: reader.rest() };
}

function readLog(reader: MessageReader): BootLog {
  const number = reader.u8('the log');
  const log = [...bootLogs()].find((known) => BOOT_LOGS[known] === number);
  if (log === undefined) throw new SpiffeError('TPM_DATA_INVALID', `there is no log ${number}`);
  return log;
}
