import { connect, type Socket } from 'node:net';
import {
  encodeFrame,
  Flag,
  type Frame,
  FrameReader,
  FrameType,
  isSettingsAck,
  PREFACE,
} from '../../src/rpc/any-authority/frames.ts';
import { encodeHeaderBlock } from '../../src/rpc/any-authority/hpack.ts';

const WINDOW_UPDATE = 0x8;
/** More than comes while anything is measured, so that no window has to be opened again. */
const WINDOW = 2 ** 30;
const SETTINGS_INITIAL_WINDOW_SIZE = 0x4;
const MESSAGE_HEAD_BYTES = 5;

const REQUEST = encodeHeaderBlock(
  Object.entries({
    ':method': 'POST',
    ':scheme': 'http',
    ':path': '/SpiffeWorkloadAPI/FetchX509SVID',
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    te: 'trailers',
    'workload.spiffe.io': 'true',
  }).map(([name, value]) => ({ name, value, isNeverIndexed: false })),
);
const EMPTY_MESSAGE = Buffer.alloc(MESSAGE_HEAD_BYTES);

export interface StreamListener {
  /** A stream has got a whole message. */
  onMessage(): void;
  /** Something else than messages came. */
  onFailure(reason: string): void;
}

/**
 * A connection with streams of `FetchX509SVID` that are never closed. It knows of HTTP/2 and gRPC what it takes to count
 * messages: thousands of them are to cost the machine next to nothing, beside the agent that is measured.
 */
export class StreamConnection {
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #listener: StreamListener;
  /** What each stream has of a message that is not whole yet. */
  readonly #begun = new Map<number, Buffer>();

  constructor(socketPath: string, streams: number, listener: StreamListener) {
    this.#listener = listener;
    this.#socket = connect(socketPath);
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('error', (error) => listener.onFailure(error.message));
    this.#socket.on('close', () => listener.onFailure('the agent closed a connection'));
    this.#socket.write(Buffer.concat([PREFACE, SETTINGS, openWindow(0, WINDOW)]));
    for (let number = 0; number < streams; number += 1) {
      const id = 2 * number + 1;
      this.#socket.write(
        Buffer.concat([
          encodeFrame(FrameType.Headers, Flag.EndHeaders, id, REQUEST),
          encodeFrame(FrameType.Data, Flag.EndStream, id, EMPTY_MESSAGE),
        ]),
      );
    }
  }

  #take(chunk: Buffer): void {
    this.#reader.push(chunk);
    for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) this.#look(frame);
  }

  #look(frame: Frame): void {
    const { type, flags, streamId, payload } = frame;
    const isEnd = type === FrameType.Headers && (flags & Flag.EndStream) !== 0;
    if (type === FrameType.Data) this.#count(streamId, payload);
    else if (type === FrameType.Settings && !isSettingsAck(frame)) {
      this.#socket.write(encodeFrame(FrameType.Settings, Flag.Ack, 0, Buffer.alloc(0)));
    } else if (type === FrameType.Ping && (flags & Flag.Ack) === 0) {
      this.#socket.write(encodeFrame(FrameType.Ping, Flag.Ack, 0, payload));
    } else if (type === FrameType.ResetStream || type === FrameType.Goaway || isEnd) {
      this.#listener.onFailure(`the agent ended stream ${streamId}`);
    }
  }

  #count(streamId: number, payload: Buffer): void {
    const before = this.#begun.get(streamId);
    let bytes = before === undefined ? payload : Buffer.concat([before, payload]);
    while (bytes.length >= MESSAGE_HEAD_BYTES) {
      const end = MESSAGE_HEAD_BYTES + bytes.readUInt32BE(1);
      if (bytes.length < end) break;
      bytes = bytes.subarray(end);
      this.#listener.onMessage();
    }
    if (bytes.length === 0) this.#begun.delete(streamId);
    else this.#begun.set(streamId, bytes);
  }
}

function openWindow(streamId: number, bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return encodeFrame(WINDOW_UPDATE, 0, streamId, payload);
}

const SETTINGS = (() => {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(SETTINGS_INITIAL_WINDOW_SIZE);
  payload.writeUInt32BE(WINDOW, 2);
  return encodeFrame(FrameType.Settings, 0, 0, payload);
})();
