import { createHash } from 'node:crypto';
import { TPM_HASHES, type TpmHash } from '../../src/tpm/algorithms.ts';
import { EVENT_TYPE } from '../../src/tpm/event-log/event-types.ts';
import type { EventLog, LogEvent } from '../../src/tpm/event-log/parse-event-log.ts';
import { u16, u32 } from './little-endian.ts';

export type MadeEvent = Pick<LogEvent, 'pcr' | 'type' | 'data' | 'digests'>;

/** An event whose digests are of `measured`, by default of the data. */
export function event(pcr: number, type: keyof typeof EVENT_TYPE, data: Uint8Array, measured = data): MadeEvent {
  const digests = new Map((['sha1', 'sha256'] as const).map((bank) => [bank, digestOf(bank, measured)]));
  return { pcr, type: EVENT_TYPE[type], data, digests };
}

export function digestOf(bank: string, data: Uint8Array): Uint8Array {
  return new Uint8Array(createHash(bank).update(data).digest());
}

export interface SpecId {
  readonly banks?: readonly (readonly [id: number, size: number])[];
  readonly type?: number;
  readonly signature?: string;
  readonly tail?: Uint8Array;
  /** In place of how many there are. */
  readonly count?: number;
}

/** A log as firmware writes it. */
export function encodeEventLog(events: readonly MadeEvent[], spec: SpecId = {}): Uint8Array {
  return Buffer.concat([encodeSpecId(spec), ...events.map(encodeEvent)]);
}

export function encodeSpecId({ banks = TWO_BANKS, type = 3, signature, tail, count }: SpecId = {}): Uint8Array {
  const data = Buffer.concat([
    Buffer.from((signature ?? 'Spec ID Event03').padEnd(16, '\0')),
    Buffer.from([0, 0, 0, 0, 0, 2, 0, 2]),
    u32(count ?? banks.length),
    ...banks.flatMap(([id, size]) => [u16(id), u16(size)]),
    Buffer.from([0]),
    tail ?? Buffer.alloc(0),
  ]);
  return Buffer.concat([u32(0), u32(type), Buffer.alloc(20), u32(data.length), data]);
}

export function encodeEvent({ pcr, type, digests, data }: MadeEvent): Uint8Array {
  const encoded = [...digests].flatMap(([bank, digest]) => [u16(TPM_HASHES[bank].id), digest]);
  return Buffer.concat([u32(pcr), u32(type), u32(digests.size), ...encoded, u32(data.length), data]);
}

/** A log of its own, from one that was read. */
export function encodeAgain({ banks, events }: EventLog): Uint8Array {
  const algorithms = banks.map((bank: TpmHash) => [TPM_HASHES[bank].id, TPM_HASHES[bank].size] as const);
  return encodeEventLog(events, { banks: algorithms });
}

const TWO_BANKS = [
  [TPM_HASHES.sha1.id, 20],
  [TPM_HASHES.sha256.id, 32],
] as const;
