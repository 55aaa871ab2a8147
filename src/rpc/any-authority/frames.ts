import { type Http2ConnectionError as ConnectionError, Http2ConnectionError, Http2ErrorCode } from './http2-error.ts';

/** @see RFC 9113 §3.4 */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** Of a payload, unless an endpoint's SETTINGS say otherwise. @see RFC 9113 §4.2 */
export const MAX_FRAME_BYTES = 16_384;
const FRAME_HEAD_BYTES = 9;

/** @see RFC 9113 §6 */
export const FrameType = {
  Data: 0x0,
  Headers: 0x1,
  ResetStream: 0x3,
  Settings: 0x4,
  PushPromise: 0x5,
  Ping: 0x6,
  Goaway: 0x7,
  Continuation: 0x9,
} as const;

export const Flag = { Ack: 0x1, EndStream: 0x1, EndHeaders: 0x4, Padded: 0x8, Priority: 0x20 } as const;

export interface Frame {
  /** Any, one that is not known too. */
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
  /** With its head. */
  readonly bytes: Buffer;
}

/** Cuts what a client sends into its preface and frames. */
export class FrameReader {
  #buffered: Buffer = Buffer.alloc(0);
  #hasPreface = false;

  /** What was pushed and is no whole frame yet. */
  get rest(): Buffer {
    return this.#buffered;
  }

  push(chunk: Buffer): void {
    this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
  }

  /** @returns whether the preface is there. @throws Http2ConnectionError where something else is. */
  readPreface(): boolean {
    if (this.#hasPreface) return true;
    const start = this.#buffered.subarray(0, PREFACE.length);
    if (!start.equals(PREFACE.subarray(0, start.length))) throw protocolError('the connection preface is wrong');
    if (start.length < PREFACE.length) return false;
    this.#hasPreface = true;
    this.#buffered = this.#buffered.subarray(PREFACE.length);
    return true;
  }

  /** @returns undefined where more bytes are needed. @throws Http2ConnectionError for one that is too long. */
  next(): Frame | undefined {
    const bytes = this.#buffered;
    if (bytes.length < FRAME_HEAD_BYTES) return undefined;
    const length = bytes.readUIntBE(0, 3);
    if (length > MAX_FRAME_BYTES) {
      throw new Http2ConnectionError(
        Http2ErrorCode.FrameSize,
        `a frame has ${length} bytes: ${MAX_FRAME_BYTES} at most`,
      );
    }
    const end = FRAME_HEAD_BYTES + length;
    if (bytes.length < end) return undefined;
    this.#buffered = bytes.subarray(end);
    return {
      type: bytes.readUInt8(3),
      flags: bytes.readUInt8(4),
      streamId: bytes.readUInt32BE(5) & 0x7fff_ffff,
      payload: bytes.subarray(FRAME_HEAD_BYTES, end),
      bytes: bytes.subarray(0, end),
    };
  }
}

export function encodeFrame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEAD_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, FRAME_HEAD_BYTES);
  return bytes;
}

/** A server's preface: RFC 9113 §3.4. */
export const EMPTY_SETTINGS = encodeFrame(FrameType.Settings, 0, 0, Buffer.alloc(0));

/** No stream of the client's was dealt with. @see RFC 9113 §6.8 */
export function encodeGoaway({ code }: ConnectionError): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(code, 4);
  return encodeFrame(FrameType.Goaway, 0, 0, payload);
}

export function isSettingsAck({ type, flags }: Frame): boolean {
  return type === FrameType.Settings && (flags & Flag.Ack) !== 0;
}

export function protocolError(message: string): Http2ConnectionError {
  return new Http2ConnectionError(Http2ErrorCode.Protocol, message);
}
