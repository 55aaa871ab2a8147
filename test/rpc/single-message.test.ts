import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { encodeFrame, Flag, FrameType } from '../../src/rpc/any-authority/frames.ts';
import { Status } from '../../src/spiffe/status.ts';
import { eventually } from '../harness/eventually.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import {
  answersOf,
  call,
  connect,
  data,
  forget,
  frame,
  lastData,
  long,
  MAX_REQUEST_BYTES,
  NO_ERROR,
  request,
  seen,
  serve,
  WINDOW_BYTES,
  wasReset,
} from './watched-server.ts';

// What a client may send as the one request of a call, and must not.

const resources = new AsyncDisposableStack();
let path: string;
beforeAll(async () => {
  path = resources.use(await createTemporaryFolder()).join('s');
  resources.use(await serve(path));
});
afterAll(() => resources.disposeAsync());
beforeEach(forget);

describe('the body of a call', () => {
  const good = [
    ['a message of no bytes', [lastData(1, frame(Buffer.alloc(0)))]],
    ['a message of the largest size', [lastData(1, long(MAX_REQUEST_BYTES))]],
    [
      'each byte alone, and frames of none',
      [...request('a')]
        .flatMap((byte) => [data(1, Buffer.of(byte)), data(1, Buffer.alloc(0))])
        .concat(lastData(1, Buffer.alloc(0))),
    ],
    [
      'padding',
      [
        encodeFrame(
          FrameType.Data,
          Flag.EndStream | Flag.Padded,
          1,
          Buffer.concat([Buffer.of(3), request('a'), Buffer.alloc(3)]),
        ),
      ],
    ],
    [
      'headers behind it',
      [data(1, request('a')), encodeFrame(FrameType.Headers, Flag.EndHeaders | Flag.EndStream, 1, Buffer.alloc(0))],
    ],
  ] as const;
  test.each(good)('%s is taken', async (_what, frames) => {
    const client = connect(path);
    client.send(call(1), ...frames);
    expect([await client.statusOf(1), answersOf(client, 1)]).toEqual(['0', [1]]);
    expect([client.valueOf(1, ':status'), client.valueOf(1, 'content-type')]).toEqual([
      '200',
      'application/grpc+proto',
    ]);
  });

  const bad = [
    ['none at all', [lastData(1, Buffer.alloc(0))], Status.Unimplemented, /none came/],
    ['half a frame header', [lastData(1, Buffer.alloc(3))], Status.Internal, /ended before/],
    ['half a message', [lastData(1, request('abc').subarray(0, 7))], Status.Internal, /ended before/],
    ['two messages', [data(1, request('a')), lastData(1, request('a'))], Status.Unimplemented, /more came/],
    [
      'a message and a byte',
      [data(1, Buffer.concat([request('a'), Buffer.alloc(1)]))],
      Status.Unimplemented,
      /more came/,
    ],
    [
      'a message and, later, a byte',
      [data(1, request('a')), data(1, Buffer.alloc(1))],
      Status.Unimplemented,
      /more came/,
    ],
    ['a byte too many', [data(1, long(MAX_REQUEST_BYTES + 1))], Status.ResourceExhausted, /larger than 1000 bytes/],
    ['4 GiB, announced', [data(1, frame(Buffer.alloc(0), 0, 2 ** 32 - 1))], Status.ResourceExhausted, /larger/],
    ['a compressed message without an encoding', [lastData(1, frame(gzipSync(''), 1))], Status.Internal, /compressed/],
    ['a flag that nobody knows', [lastData(1, frame(Buffer.alloc(0), 2))], Status.Internal, /compressed/],
    ['what is no message', [lastData(1, frame(Buffer.of(0x0a, 0x7f, 1)))], Status.Internal, /cannot be decoded/],
  ] as const;
  test.each(bad)('%s is refused, before any handler', async (_what, frames, status, message) => {
    const client = connect(path);
    client.send(call(1), ...frames);
    expect(await client.statusOf(1)).toBe(String(status));
    expect(decodeURIComponent(client.valueOf(1, 'grpc-message') ?? '')).toMatch(message);
    expect([seen.handled, seen.before]).toEqual([[], 0]);
    client.send(call(3), lastData(3, request('next')));
    expect(await client.statusOf(3)).toBe('0');
  });

  test('what is sent on after a refusal is not wanted, and holds up no other call', async () => {
    const client = connect(path);
    client.send(call(1), data(1, frame(Buffer.alloc(0), 0, 2 ** 31)));
    expect((await wasReset(client, 1))?.payload.readUInt32BE()).toBe(NO_ERROR);
    client.send(...Array.from({ length: 3 }, () => data(1, Buffer.alloc(16_384))));
    const restored = () =>
      client.frames
        .filter(({ type, streamId }) => type === 0x8 && streamId === 0)
        .reduce((sum, { payload }) => sum + payload.readUInt32BE(), 0);
    await eventually(() => expect(restored()).toBeGreaterThan(WINDOW_BYTES / 2)); // of the connection
    client.send(call(3), lastData(3, request('next')));
    expect(await client.statusOf(3)).toBe('0');
  });
});
