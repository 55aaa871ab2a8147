import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { encodeFrame, Flag, FrameType, PREFACE } from '../../src/rpc/any-authority/frames.ts';
import { Status } from '../../src/spiffe/status.ts';
import { eventually } from '../harness/eventually.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { RawClient, SETTINGS } from './any-authority/raw-client.ts';
import { Pump } from './pump.ts';
import { ends, gather, heard, release, restored, say, serveTalk, startOver, talk } from './talking-server.ts';
import {
  connect,
  data,
  forget,
  frame,
  lastData,
  long,
  MAX_REQUEST_BYTES,
  NO_ERROR,
  records,
  reset,
  seen,
  settings,
  WINDOW_BYTES,
  wasReset,
  windowUpdate,
} from './watched-server.ts';

// Frame by frame what a client may send in a call with a stream of requests, and must not.

const resources = new AsyncDisposableStack();
let path: string;
beforeAll(async () => {
  path = resources.use(await createTemporaryFolder()).join('s');
  resources.use(await serveTalk(path));
});
afterAll(() => resources.disposeAsync());
beforeEach(() => {
  forget();
  startOver();
});

const END = Buffer.alloc(0);
/** That a call has left nothing behind: the connection serves another. */
async function servesOn(client: RawClient, streamId = 99): Promise<void> {
  client.send(gather(streamId), lastData(streamId, say('next')));
  expect([await client.statusOf(streamId), heard(client, streamId)]).toEqual(['0', ['next']]);
}

describe('requests and answers', () => {
  test('take turns, and the end of the first is not that of the others', async () => {
    const client = connect(path);
    client.send(talk(1, { greet: 'yes' }));
    await eventually(() => expect(heard(client, 1)).toEqual(['hello']));
    client.send(data(1, say('a')));
    await eventually(() => expect(heard(client, 1)).toEqual(['hello', 'a']));
    client.send(data(1, say('b')), lastData(1, END));
    expect([await client.statusOf(1), heard(client, 1)]).toEqual(['0', ['hello', 'a', 'b', 'bye']]);
    expect([client.valueOf(1, ':status'), client.valueOf(1, 'content-type')]).toEqual([
      '200',
      'application/grpc+proto',
    ]);
    expect([ends, seen.observed, seen.after]).toEqual([['clean'], [Status.Ok], [undefined]]);
    expect(seen.contexts[0]).toMatchObject({ method: '/plugin.GRPCBroker/StartStream', peer: { pid: process.pid } });
    expect(await wasResetBefore(client, 1)).toBe(false);
  });

  const many = [
    ['none at all', [lastData(1, END)], []],
    ['three in one piece', [lastData(1, Buffer.concat([say('a'), say('b'), say('c')]))], ['a', 'b', 'c']],
    [
      'each byte alone, and frames of none',
      [...say('ab'), ...say('c')].flatMap((byte) => [data(1, Buffer.of(byte)), data(1, END)]).concat(lastData(1, END)),
      ['ab', 'c'],
    ],
    [
      'one and a half, and the rest',
      [data(1, Buffer.concat([say('a'), say('bcd').subarray(0, 7)])), lastData(1, say('bcd').subarray(7))],
      ['a', 'bcd'],
    ],
    [
      'half a header, and the rest',
      [data(1, Buffer.concat([say('a'), say('b').subarray(0, 3)])), lastData(1, say('b').subarray(3))],
      ['a', 'b'],
    ],
    ['a message of no bytes', [lastData(1, frame(Buffer.alloc(0)))], ['']],
    [
      'messages of the largest size',
      [data(1, long(MAX_REQUEST_BYTES)), lastData(1, long(MAX_REQUEST_BYTES))],
      ['', ''],
    ],
    [
      'padding',
      [
        encodeFrame(
          FrameType.Data,
          Flag.EndStream | Flag.Padded,
          1,
          Buffer.concat([Buffer.of(3), say('a'), Buffer.alloc(3)]),
        ),
      ],
      ['a'],
    ],
    [
      'headers behind the last',
      [data(1, say('a')), encodeFrame(FrameType.Headers, Flag.EndHeaders | Flag.EndStream, 1, Buffer.alloc(0))],
      ['a'],
    ],
  ] as const;
  test.each(many)('%s', async (_what, frames, requests) => {
    const client = connect(path);
    client.send(talk(1), ...frames);
    expect([await client.statusOf(1), heard(client, 1)]).toEqual(['0', [...requests, 'bye']]);
    expect([seen.handled, ends]).toEqual([requests, ['clean']]);
  });

  test('many and one answer', async () => {
    const client = connect(path);
    client.send(gather(1), data(1, say('a')), data(1, Buffer.concat([say('b'), say('c')])), lastData(1, END));
    client.send(gather(3), data(3, say('a')), data(3, say('leave')));
    expect([await client.statusOf(1), heard(client, 1)]).toEqual(['0', ['a b c']]);
    expect([await client.statusOf(3), heard(client, 3)]).toEqual(['0', ['a']]); // before its caller has ended
    await servesOn(client);
  });

  test('that are compressed are understood', async () => {
    const client = connect(path);
    const message = gzipSync(say('a').subarray(5));
    client.send(talk(1, { 'grpc-encoding': 'gzip' }), lastData(1, frame(message, 1)));
    expect([await client.statusOf(1), heard(client, 1)]).toEqual(['0', ['a', 'bye']]);
  });
});

describe('what no request may be', () => {
  const bad = [
    ['a byte too long', long(MAX_REQUEST_BYTES + 1), Status.ResourceExhausted, /larger than 1000 bytes/, 'TOO_LARGE'],
    ['4 GiB, announced', frame(END, 0, 2 ** 32 - 1), Status.ResourceExhausted, /larger/, 'TOO_LARGE'],
    ['compressed without an encoding', frame(gzipSync(''), 1), Status.Internal, /compressed/, 'INTERNAL'],
    ['flagged as nobody knows', frame(END, 2), Status.Internal, /compressed/, 'INTERNAL'],
    ['no message', frame(Buffer.of(0x1a, 0x7f, 1)), Status.Internal, /cannot be decoded/, 'INTERNAL'],
  ] as const;
  describe.each([
    ['first', []],
    ['after others', ['a', 'b']],
  ] as const)('%s', (_when, before) => {
    test.each(bad)('%s', async (_what, request, status, message, code) => {
      const client = connect(path);
      client.send(talk(1), data(1, Buffer.concat([...before.map(say), request])));
      expect([await client.statusOf(1), heard(client, 1)]).toEqual([String(status), before]);
      expect(decodeURIComponent(client.valueOf(1, 'grpc-message') ?? '')).toMatch(message);
      expect((await wasReset(client, 1))?.payload.readUInt32BE()).toBe(NO_ERROR);
      expect([seen.handled, ends, seen.observed]).toEqual([before, [code], [status]]);
      await servesOn(client);
    });
  });

  test('cut off by the end of the stream', async () => {
    const client = connect(path);
    client.send(talk(1), data(1, say('a')), lastData(1, say('bcd').subarray(0, 8)));
    expect([await client.statusOf(1), heard(client, 1), ends]).toEqual([String(Status.Internal), ['a'], ['INTERNAL']]);
    client.send(talk(3), lastData(3, Buffer.alloc(3)));
    expect([await client.statusOf(3), heard(client, 3)]).toEqual([String(Status.Internal), []]);
    await servesOn(client);
  });

  test('announced while the handler does something else ends what it does', async () => {
    const client = connect(path);
    client.send(talk(1), data(1, say('wait')));
    await eventually(() => expect(seen.handled).toEqual(['wait']));
    client.send(data(1, frame(END, 0, 2 ** 31)));
    expect(await client.statusOf(1)).toBe(String(Status.ResourceExhausted));
    await eventually(() => expect(seen.aborted).toEqual(['signal', 'finally']));
  });
});

describe('a client that sends more than is taken', () => {
  test('is held up, in little memory, and all arrives in the end; other calls go on', async () => {
    const client = connect(path);
    const wanted = Array.from({ length: 1_000 }, (_, index) => String(index).padStart(900, '.'));
    const bytes = Buffer.concat([say('hold'), ...wanted.map(say)]);
    const pump = new Pump(client, 1, bytes);
    client.send(talk(1));
    await pump.run();
    expect(pump.sent).toBeLessThan(3 * WINDOW_BYTES);
    expect(seen.handled).toEqual(['hold']);
    release();
    await eventually(async () => {
      client.send(windowUpdate(0, 10_000_000), windowUpdate(1, 10_000_000));
      await pump.run();
      expect(pump.sent).toBe(bytes.length);
    });
    client.send(lastData(1, END));
    expect(await client.statusOf(1)).toBe('0');
    expect(heard(client, 1)).toEqual(['hold', ...wanted, 'bye']);
  });

  test('may send a message that is larger than any window', async () => {
    await using folder = await createTemporaryFolder();
    await using _server = await serveTalk(folder.join('s'), 300_000);
    const client = connect(folder.join('s'));
    const large = 'x'.repeat(299_000);
    const pump = new Pump(client, 1, Buffer.concat([say(large), say('b')]));
    client.send(gather(1));
    await eventually(async () => {
      await pump.run();
      expect(pump.left).toBe(0);
    });
    client.send(lastData(1, END), windowUpdate(0, 300_000), windowUpdate(1, 300_000));
    expect([await client.statusOf(1), heard(client, 1)]).toEqual(['0', [`${large} b`]]);
  });

  test.each([
    ['cancels', 8],
    ['ends its call without an error', NO_ERROR],
  ])('and %s while nobody reads ends the handler', async (_what, code) => {
    const client = connect(path);
    client.send(talk(1), data(1, say('hold')));
    await eventually(() => expect(seen.handled).toEqual(['hold']));
    client.send(...Array.from({ length: 3 }, () => data(1, Buffer.concat(Array(400).fill(say('a'.repeat(20)))))));
    client.send(encodeFrame(FrameType.ResetStream, 0, 1, Buffer.of(0, 0, 0, code)));
    await eventually(() => expect(seen.aborted).toEqual(['signal']));
    release();
    await eventually(() => expect(seen.aborted).toEqual(['signal', 'finally']));
    await servesOn(client);
    expect([client.valueOf(1, 'grpc-status'), seen.handled]).toEqual([undefined, ['hold', 'next']]);
  });
});

describe('a call that is cancelled', () => {
  test('while its requests are awaited ends the handler', async () => {
    const client = connect(path);
    client.send(talk(1), data(1, say('a')));
    await eventually(() => expect(heard(client, 1)).toEqual(['a']));
    client.send(reset(1));
    await eventually(() => expect([seen.aborted, ends]).toEqual([['signal', 'finally'], ['CANCELLED']]));
    await eventually(() => expect(seen.observed).toEqual([Status.Cancelled]));
    await servesOn(client);
    expect(records).toEqual([]);
  });

  test('before anything is sent, with its headers in one piece, or with its connection', async () => {
    const client = connect(path);
    client.send(Buffer.concat([talk(1), reset(1), talk(3), data(3, say('a')), reset(3)]));
    await servesOn(client);
    expect([client.valueOf(1, 'grpc-status'), client.valueOf(3, 'grpc-status')]).toEqual([undefined, undefined]);
    client.send(talk(101), data(101, say('wait')));
    client.send(talk(103));
    await eventually(() => expect(seen.handled).toContain('wait'));
    client.socket.destroy();
    await eventually(() =>
      expect(seen.aborted.filter((what) => what === 'finally')).toHaveLength(seen.contexts.length),
    );
    expect(seen.contexts.every(({ signal }) => signal.aborted)).toBe(true);
  });

  test.each([
    ['between requests', 'a', ['a']],
    ['while its handler is busy', 'wait', []],
  ])('by its deadline, %s', async (_when, what, answers) => {
    const client = connect(path);
    client.send(talk(1, { 'grpc-timeout': '100m' }), data(1, say(what)));
    expect([await client.statusOf(1), heard(client, 1)]).toEqual([String(Status.DeadlineExceeded), answers]);
    await eventually(() => expect(seen.aborted).toEqual(['signal', 'finally']));
    expect((await wasReset(client, 1))?.payload.readUInt32BE()).toBe(NO_ERROR);
    await servesOn(client);
  });
});

describe('what is answered', () => {
  test('waits for a client that reads slowly, in little memory, and all arrives before the end', async () => {
    const client = new RawClient(path);
    client.send(PREFACE, settings(0x4, 7)); // INITIAL_WINDOW_SIZE
    client.send(talk(1), data(1, say('leave')), talk(3), data(3, Buffer.concat([say('a'), say('leave')])));
    await eventually(() => expect(client.dataOf(3)).toHaveLength(7));
    expect([await client.statusOf(1), client.valueOf(3, 'grpc-status')]).toEqual(['0', undefined]);
    await servesOnWithoutData(client);
    expect(client.frames.some(({ type, streamId }) => type === FrameType.ResetStream && streamId === 3)).toBe(false);
    client.send(windowUpdate(3, 1_000));
    expect([await client.statusOf(3), heard(client, 3)]).toEqual(['0', ['a']]);
  });

  test('without end stops where its reader does', async () => {
    const client = connect(path);
    client.send(talk(1), data(1, say('flood')));
    await eventually(() => expect(client.dataOf(1)).toHaveLength(WINDOW_BYTES));
    expect(seen.handled.length).toBeLessThan(30_000);
    client.send(windowUpdate(0, WINDOW_BYTES), windowUpdate(1, WINDOW_BYTES));
    await eventually(() => expect(client.dataOf(1)).toHaveLength(2 * WINDOW_BYTES));
    client.send(reset(1));
    await eventually(() => expect(seen.aborted).toEqual(['signal', 'finally']));
  });

  test.each([
    ['at once', [], []],
    ['after answers', ['a', 'b'], ['a', 'b']],
  ] as const)('a refusal %s has its status, message and details, and wants no more', async (_when, first, answers) => {
    const client = connect(path);
    client.send(talk(1), data(1, Buffer.concat([...first, 'refuse'].map(say))));
    expect([await client.statusOf(1), heard(client, 1)]).toEqual([String(Status.PermissionDenied), answers]);
    expect(client.valueOf(1, 'grpc-message')).toBe('%C3%BC%20100%25%20no%0A');
    expect(Buffer.from(client.valueOf(1, 'grpc-status-details-bin') ?? '', 'base64').toString('latin1')).toContain(
      'type/x',
    );
    expect((await wasReset(client, 1))?.payload.readUInt32BE()).toBe(NO_ERROR);
    expect([seen.before, seen.after, seen.observed]).toEqual([1, ['PERMISSION_DENIED'], [Status.PermissionDenied]]);
  });

  test('a stranger among errors is not named, and is logged', async () => {
    const client = connect(path);
    client.send(talk(1), data(1, say('stranger')));
    expect([await client.statusOf(1), client.valueOf(1, 'grpc-message')]).toEqual(['13', 'internal%20error']);
    expect([records.length, seen.observed]).toEqual([1, [Status.Internal]]);
  });

  test('an interceptor refuses before the handler', async () => {
    const client = connect(path);
    client.send(talk(1, { refuse: 'yes' }), data(1, say('a')));
    expect([await client.statusOf(1), seen.handled, ends]).toEqual([String(Status.Unauthenticated), [], []]);
    expect([seen.after, seen.observed]).toEqual([['UNAUTHENTICATED'], [Status.Unauthenticated]]);
    await servesOn(client);
  });

  test('an early end wants no more, and what is sent on holds up no other call', async () => {
    const client = connect(path);
    client.send(talk(1), data(1, Buffer.concat([say('a'), say('leave'), say('b')])));
    expect([await client.statusOf(1), heard(client, 1)]).toEqual(['0', ['a']]);
    expect((await wasReset(client, 1))?.payload.readUInt32BE()).toBe(NO_ERROR);
    client.send(...Array.from({ length: 3 }, () => data(1, Buffer.alloc(16_384))));
    await eventually(() => expect(restored(client, 0)).toBeGreaterThan(WINDOW_BYTES / 2));
    await servesOn(client);
    expect(seen.handled).toEqual(['a', 'leave', 'next']);
  });
});

test('a server that stops lets a call end by itself, and refuses it when its time is over', async () => {
  await using folder = await createTemporaryFolder();
  const server = await serveTalk(folder.join('s'));
  const client = new RawClient(folder.join('s'));
  client.send(PREFACE, SETTINGS, talk(1), data(1, say('a')), talk(3), data(3, say('b')));
  await eventually(() => expect([heard(client, 1), heard(client, 3)]).toEqual([['a'], ['b']]));
  const disposal = server[Symbol.asyncDispose]();
  expect(await client.receive(({ type }) => type === FrameType.Goaway)).toBeDefined();
  client.send(data(1, say('c')), lastData(1, END));
  expect([await client.statusOf(1), heard(client, 1)]).toEqual(['0', ['a', 'c', 'bye']]);
  expect([await client.statusOf(3), heard(client, 3)]).toEqual(['14', ['b']]);
  await client.closed();
  await disposal;
});

/** Another call has begun and ended since, so whatever there was to be sent of the first is there. */
async function wasResetBefore(client: RawClient, streamId: number): Promise<boolean> {
  await servesOn(client);
  return client.frames.some(({ type, streamId: id }) => type === FrameType.ResetStream && id === streamId);
}

async function servesOnWithoutData(client: RawClient): Promise<void> {
  client.send(gather(97, { refuse: 'yes' }), lastData(97, END));
  expect(await client.statusOf(97)).toBe(String(Status.Unauthenticated));
}
