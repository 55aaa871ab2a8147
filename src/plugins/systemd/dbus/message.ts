import { DbusReader, malformed } from './reader.ts';
import { DbusWriter } from './writer.ts';

export interface MethodCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** Texts and numbers, in order. */
  readonly arguments?: readonly (string | number)[];
}

/** What comes back. Messages of other types have neither of the two types that answer a call. */
export interface DbusMessage {
  readonly type: number;
  readonly replySerial: number | undefined;
  readonly errorName: string | undefined;
  readonly sender: string | undefined;
  readonly signature: string;
  /** Reads the body from its beginning. */
  readonly body: DbusReader;
}

export const METHOD_RETURN = 2;
export const ERROR = 3;

const METHOD_CALL = 1;
const VERSION = 1;
/** The types of header fields. Source: D-Bus specification, Header Fields. */
const PATH = 1;
const INTERFACE = 2;
const MEMBER = 3;
const ERROR_NAME = 4;
const REPLY_SERIAL = 5;
const DESTINATION = 6;
const SENDER = 7;
const SIGNATURE = 8;

const FIXED_BYTES = 16;
/** The specification allows 128 MiB; an answer to this plugin is a path, a name, or a number of 16 bytes. */
const MAX_MESSAGE_BYTES = 64 * 1024;

export function encodeMethodCall(serial: number, call: MethodCall): Buffer {
  const values = call.arguments ?? [];
  const body = new DbusWriter();
  for (const value of values) {
    if (typeof value === 'number') body.uint32(value);
    else body.string(value);
  }
  const fields = new DbusWriter();
  const textField = (code: number, type: string, value: string) =>
    fields.pad(8).byte(code).signature(type).string(value);
  textField(PATH, 'o', call.path);
  textField(INTERFACE, 's', call.interface);
  textField(MEMBER, 's', call.member);
  textField(DESTINATION, 's', call.destination);
  const signature = values.map((value) => (typeof value === 'number' ? 'u' : 's')).join('');
  if (signature !== '') fields.pad(8).byte(SIGNATURE).signature('g').signature(signature);
  return new DbusWriter()
    .bytes(Buffer.from('l', 'latin1'))
    .byte(METHOD_CALL)
    .byte(0)
    .byte(VERSION)
    .uint32(body.length)
    .uint32(serial)
    .uint32(fields.length)
    .bytes(fields.finish()) // begins at byte 16, so its alignment is the message's
    .pad(8)
    .bytes(body.finish())
    .finish();
}

/**
 * How many bytes the message at the beginning has; undefined while that cannot be told.
 *
 * @throws SpiffeError `WORKLOAD_UNREADABLE` for one that is too large, or no message
 */
export function findMessageLength(bytes: Buffer): number | undefined {
  if (bytes.length < FIXED_BYTES) return undefined;
  const reader = new DbusReader(bytes, isLittleEndian(bytes), 4);
  const bodyLength = reader.uint32();
  reader.uint32();
  const fieldsLength = reader.uint32();
  const total = Math.ceil((FIXED_BYTES + fieldsLength) / 8) * 8 + bodyLength;
  if (total > MAX_MESSAGE_BYTES) throw malformed(`it has ${total} bytes, and the limit is ${MAX_MESSAGE_BYTES}`);
  return total;
}

/** @param bytes a whole message. @throws SpiffeError `WORKLOAD_UNREADABLE` */
export function decodeMessage(bytes: Buffer): DbusMessage {
  const littleEndian = isLittleEndian(bytes);
  if (bytes[3] !== VERSION) throw malformed(`it is of version ${bytes[3]} of the protocol`);
  const reader = new DbusReader(bytes, littleEndian, 12);
  const fieldsEnd = FIXED_BYTES + reader.uint32();
  const fields = new Map<number, string | number | Uint8Array>();
  while (reader.position < fieldsEnd) {
    reader.align(8);
    fields.set(reader.byte(), reader.variant());
  }
  reader.align(8);
  const text = (code: number) => {
    const value = fields.get(code);
    return typeof value === 'string' ? value : undefined;
  };
  const replySerial = fields.get(REPLY_SERIAL);
  return {
    type: bytes[1] ?? 0,
    replySerial: typeof replySerial === 'number' ? replySerial : undefined,
    errorName: text(ERROR_NAME),
    sender: text(SENDER),
    signature: text(SIGNATURE) ?? '',
    body: new DbusReader(bytes, littleEndian, reader.position),
  };
}

function isLittleEndian(bytes: Buffer): boolean {
  const [order] = bytes;
  if (order === 0x6c) return true; // l
  if (order === 0x42) return false; // B
  throw malformed('it has no byte order');
}
