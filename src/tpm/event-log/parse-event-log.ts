import { requireCheck } from '../../x509/require-check.ts';
import { hashOfId, TPM_HASHES, type TpmHash } from '../algorithms.ts';
import { beginsWith } from '../begins-with.ts';
import { LogReader } from '../log-reader.ts';
import { runSlices, type Sliced } from '../slices.ts';
import { EventDigests } from './event-digests.ts';
import { EVENT_TYPE, eventTypeName } from './event-types.ts';

/** What firmware and boot loaders measured, in the order of the log. Nothing of it is proven before it is replayed. */
export interface EventLog {
  /** The banks that every event has a digest for. */
  readonly banks: readonly TpmHash[];
  /** Without the Spec ID event, which begins the log. */
  readonly events: readonly LogEvent[];
}

/** TCG_PCR_EVENT2: PC Client Platform Firmware Profile, §10.2.2. */
export interface LogEvent {
  /** From 1: the Spec ID event is 0. */
  readonly number: number;
  /** 0 to 23; any number where nothing is extended. */
  readonly pcr: number;
  readonly type: number;
  readonly digests: ReadonlyMap<TpmHash, Uint8Array>;
  readonly data: Uint8Array;
}

/** Real logs have 10 to 300 KiB. */
export const MAX_EVENT_LOG_BYTES = 4 * 1024 * 1024;
const MAX_EVENTS = 16_384;
/** Each takes a microsecond to be read, replayed or judged, and ten where others want the machine too. */
export const EVENTS_A_SLICE = 512;
const MAX_BANKS = 16;
const SPEC_ID_SIGNATURE = Buffer.from('Spec ID Event03\0', 'latin1');
const HEADER_DIGEST_BYTES = 20;
const LAST_PCR = 23;

/**
 * Reads a log as `/sys/kernel/security/tpm0/binary_bios_measurements` has it, in the format of TPM 2.0 ("crypto agile").
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (D25, D26), or `TPM_DATA_INVALID` for an unknown hash algorithm
 * @see TCG PC Client Platform Firmware Profile 1.06, §10
 */
export function parseEventLog(bytes: Uint8Array): EventLog {
  return runSlices(parseEventLogInSlices(bytes));
}

/** The same, in slices. */
export function* parseEventLogInSlices(bytes: Uint8Array): Sliced<EventLog> {
  requireCheck(
    'D26',
    bytes.length <= MAX_EVENT_LOG_BYTES,
    `the event log has ${bytes.length} bytes, at most ${MAX_EVENT_LOG_BYTES} are read`,
  );
  const log = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const reader = new LogReader(log, 'the event log');
  const banks = readSpecId(reader);
  const events: LogEvent[] = [];
  while (reader.remaining > 0) {
    if (events.length >= MAX_EVENTS) requireCheck('D26', false, `the event log has more than ${MAX_EVENTS} events`);
    events.push(readEvent(log, reader, banks, events.length + 1));
    if (events.length % EVENTS_A_SLICE === 0) yield;
  }
  return { banks, events };
}

/** TCG_PCClientPCREvent with a TCG_EfiSpecIdEvent: §10.2.1, §10.4.5.1. */
function readSpecId(reader: LogReader): readonly TpmHash[] {
  const [pcr, type] = [reader.u32(), reader.u32()];
  const digest = reader.take(HEADER_DIGEST_BYTES);
  const data = reader.take(reader.u32());
  requireCheck(
    'D25',
    pcr === 0 &&
      type === EVENT_TYPE.EV_NO_ACTION &&
      digest.every((byte) => byte === 0) &&
      beginsWith(data, SPEC_ID_SIGNATURE),
    'the event log does not begin with a Spec ID event of TPM 2.0',
  );
  const spec = new LogReader(data.subarray(SPEC_ID_SIGNATURE.length), 'the Spec ID event');
  spec.take(8); // platformClass, versions, errata, uintnSize
  const count = spec.u32();
  requireCheck(
    'D25',
    count >= 1 && count <= MAX_BANKS,
    `the Spec ID event announces ${count} hash algorithms, 1 to ${MAX_BANKS} are allowed`,
  );
  const banks = Array.from({ length: count }, () => {
    const hash = hashOfId(spec.u16());
    const size = spec.u16();
    const { size: knownSize } = TPM_HASHES[hash];
    requireCheck('D25', size === knownSize, `the Spec ID event gives ${hash} ${size} bytes, it has ${knownSize}`);
    return hash;
  });
  requireCheck('D25', new Set(banks).size === count, 'the Spec ID event announces a hash algorithm twice');
  spec.take(spec.u8());
  requireCheck('D25', spec.remaining === 0, `the Spec ID event is followed by ${spec.remaining} bytes of nothing`);
  return banks;
}

function readEvent(log: Buffer, reader: LogReader, banks: readonly TpmHash[], number: number): LogEvent {
  const [pcr, type] = [reader.u32(), reader.u32()];
  // There may be thousands: what a refusal says is written for a refusal alone.
  const name = () => `event ${number} (${eventTypeName(type)})`;
  if (pcr > LAST_PCR && type !== EVENT_TYPE.EV_NO_ACTION) {
    requireCheck('D26', false, `${name()} is for PCR ${pcr}, there are ${LAST_PCR + 1}`);
  }
  const count = reader.u32();
  if (count !== banks.length)
    requireCheck('D25', false, `${name()} has ${count} digests, the log announces ${banks.length}`);
  const start = reader.offset;
  const order: TpmHash[] = [];
  for (let index = 0; index < count; index++) {
    const hash = hashOfId(reader.u16());
    if (!banks.includes(hash))
      requireCheck('D25', false, `${name()} has a digest by ${hash}, which the log does not announce`);
    if (order.includes(hash)) requireCheck('D25', false, `${name()} has two digests by ${hash}`);
    order.push(hash);
    reader.skip(TPM_HASHES[hash].size);
  }
  const data = reader.take(reader.u32());
  if (type === EVENT_TYPE.EV_NO_ACTION && beginsWith(data, SPEC_ID_SIGNATURE))
    requireCheck('D25', false, `${name()} is a second Spec ID event`);
  return { number, pcr, type, digests: new EventDigests(log, start, order), data };
}
