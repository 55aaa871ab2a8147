import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { encodeFrame, Flag, type Frame, FrameReader, FrameType } from '../../../src/rpc/any-authority/frames.ts';
import { HeaderAssembler } from '../../../src/rpc/any-authority/header-assembler.ts';
import { encodeHeaderBlock } from '../../../src/rpc/any-authority/hpack.ts';

/** gRPC's frame of a message of no bytes. */
export const EMPTY_MESSAGE = Buffer.alloc(5);
export const SETTINGS = encodeFrame(FrameType.Settings, 0, 0, Buffer.alloc(0));
export const SETTINGS_ACK = encodeFrame(FrameType.Settings, Flag.Ack, 0, Buffer.alloc(0));

type Fields = readonly (readonly [name: string, value: string])[];

export const block = (fields: Fields): Buffer => encodeHeaderBlock(fields.map(([name, value]) => ({ name, value })));

/** The header block of a call that answers at once. @param authority `:authority` or `host`, and what it says. */
export function requestFields(...authority: Fields): Fields {
  const pseudo = authority.filter(([name]) => name.startsWith(':'));
  const others = authority.filter(([name]) => !name.startsWith(':'));
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/grpc.health.v1.Health/Check'],
    ...pseudo,
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...others,
  ];
}

export const headers = (streamId: number, fields: Fields): Buffer =>
  encodeFrame(FrameType.Headers, Flag.EndHeaders, streamId, block(fields));

export const body = (streamId: number, message: Uint8Array = EMPTY_MESSAGE): Buffer =>
  encodeFrame(FrameType.Data, Flag.EndStream, streamId, message);

export const callBy = (streamId: number, ...authority: Fields): Buffer =>
  Buffer.concat([headers(streamId, requestFields(...authority)), body(streamId)]);

/** A client that sends the frames that it is told to, and nothing by itself. */
export class RawClient {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  readonly #reader = new FrameReader();
  readonly #assembler = new HeaderAssembler();
  readonly #statuses = new Map<number, string>();
  readonly #fields = new Map<number, [name: string, value: string][]>();

  constructor(path: string) {
    this.socket = connect(path);
    onTestFinished(() => void this.socket.destroy());
    this.socket.on('error', () => {});
    this.socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk);
      for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) this.#take(frame);
      this.socket.emit('frames');
    });
    this.socket.on('close', () => this.socket.emit('frames'));
  }

  send(...frames: readonly (Uint8Array | string)[]): void {
    this.socket.write(Buffer.concat(frames.map((frame) => Buffer.from(frame))));
  }

  /** The first frame for which `isWanted` holds; undefined where the connection closes without. */
  async receive(isWanted: (frame: Frame) => boolean): Promise<Frame | undefined> {
    return await this.#wait(() => this.frames.find(isWanted));
  }

  /** The `grpc-status` of a call; undefined where the connection closes without. */
  async statusOf(streamId: number): Promise<string | undefined> {
    return await this.#wait(() => this.#statuses.get(streamId));
  }

  /** The first value of a header or trailer that has come for a call. */
  valueOf(streamId: number, name: string): string | undefined {
    return this.#fields.get(streamId)?.find(([known]) => known === name)?.[1];
  }

  /** What has come in the DATA frames of a call. */
  dataOf(streamId: number): Buffer {
    const isData = ({ type, streamId: id }: Frame) => type === FrameType.Data && id === streamId;
    return Buffer.concat(this.frames.filter(isData).map(({ payload }) => payload));
  }

  /** The error code of the server's GOAWAY, once it has closed; undefined where it sent none. */
  async refusal(): Promise<number | undefined> {
    await this.closed();
    return this.frames.find(({ type }) => type === FrameType.Goaway)?.payload.readUInt32BE(4);
  }

  async closed(): Promise<void> {
    while (!this.socket.closed) await this.#changed();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => void this.socket.once('frames', resolve));
  }

  async #wait<Value>(find: () => Value | undefined): Promise<Value | undefined> {
    for (;;) {
      const found = find();
      if (found !== undefined || this.socket.closed) return found;
      await this.#changed();
    }
  }

  #take(frame: Frame): void {
    this.frames.push(frame);
    const fields = this.#assembler.add(frame)?.fields ?? [];
    if (fields.length > 0) {
      const known = this.#fields.get(frame.streamId) ?? [];
      this.#fields.set(frame.streamId, [
        ...known,
        ...fields.map(({ name, value }) => [name, value] as [string, string]),
      ]);
    }
    const status = fields.find(({ name }) => name === 'grpc-status');
    if (status !== undefined) this.#statuses.set(frame.streamId, status.value);
    if (frame.type === FrameType.ResetStream && !this.#statuses.has(frame.streamId)) {
      this.#statuses.set(frame.streamId, `reset ${frame.payload.readUInt32BE()}`);
    }
  }
}
