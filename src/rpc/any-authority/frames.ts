import { type Http2ConnectionError as ConnectionError, Http2ConnectionError, Http2ErrorCode } from './http2-error.ts';

/** @see RFC 9113 §3.4 */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** Of a payload, unless an endpoint's SETTINGS say otherwise. @see RFC 9113 §4.2 */
export const MAX_FRAME_BYTES = 16_384;
const FRAME_HEAD_BYTES = 9;
/** Pieces kept apart: each takes many times its bytes where a client sends them one by one. */
const MAX_CHUNKS = 256;

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
  /** In order; put together once what is needed is there, so that a frame in many pieces is not copied for each. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** How many bytes there must be before another look at them is worth it. */
  #needed = FRAME_HEAD_BYTES;
  #hasPreface = false;

  /** What was pushed and is no whole frame yet. */
  get rest(): Buffer {
    return this.#joined();
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#chunks.length >= MAX_CHUNKS) this.#joined();
  }

  /** @returns whether the preface is there. @throws Http2ConnectionError where something else is. */
  readPreface(): boolean {
    if (this.#hasPreface) return true;
    const buffered = this.#joined();
    const start = buffered.subarray(0, PREFACE.length);
    if (!start.equals(PREFACE.subarray(0, start.length))) throw protocolError('the connection preface is wrong');
    if (start.length < PREFACE.length) return false;
    this.#hasPreface = true;
    this.#keep(buffered.subarray(PREFACE.length));
    return true;
  }

  /** @returns undefined where more bytes are needed. @throws Http2ConnectionError for one that is too long. */
  next(): Frame | undefined {
    if (this.#bytes < this.#needed) return undefined;
    const bytes = this.#joined();
    const length = bytes.readUIntBE(0, 3);
    if (length > MAX_FRAME_BYTES) {
      throw new Http2ConnectionError(
        Http2ErrorCode.FrameSize,
        `a frame has ${length} bytes: ${MAX_FRAME_BYTES} at most`,
      );
    }
    const end = FRAME_HEAD_BYTES + length;
    this.#needed = end;
    if (bytes.length < end) return undefined;
    this.#keep(bytes.subarray(end));
    return {
      type: bytes.readUInt8(3),
      flags: bytes.readUInt8(4),
      streamId: bytes.readUInt32BE(5) & 0x7fff_ffff,
      payload: bytes.subarray(FRAME_HEAD_BYTES, end),
      bytes: bytes.subarray(0, end),
    };
  }

  #joined(): Buffer {
    const [first = Buffer.alloc(0), ...others] = this.#chunks;
    if (others.length === 0) return first;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }

  #keep(rest: Buffer): void {
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
    this.#needed = FRAME_HEAD_BYTES;
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
