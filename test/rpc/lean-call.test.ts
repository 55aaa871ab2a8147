import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FrameType, PREFACE } from '../../src/rpc/any-authority/frames.ts';
import { Status } from '../../src/spiffe/status.ts';
import { eventually } from '../harness/eventually.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { RawClient, SETTINGS } from './any-authority/raw-client.ts';
import {
  answersOf,
  call,
  connect,
  data,
  forget,
  frame,
  lastData,
  NO_ERROR,
  records,
  request,
  reset,
  seen,
  serve,
  settings,
  WINDOW_BYTES,
  wasReset,
  watch,
  windowUpdate,
} from './watched-server.ts';

// Frame by frame what a client may send around the request of a call, and must not.

const resources = new AsyncDisposableStack();
let path: string;
beforeAll(async () => {
  path = resources.use(await createTemporaryFolder()).join('s');
  resources.use(await serve(path));
});
afterAll(() => resources.disposeAsync());
beforeEach(forget);

describe('the headers of a call', () => {
  const rows = [
    ['application/grpc+proto', { 'content-type': 'application/grpc+proto' }, '0'],
    ['another message format, which is read as ours', { 'content-type': 'application/grpc+json' }, '0'],
    ['no te', { te: undefined }, '0'],
    ['identity as its encoding', { 'grpc-encoding': 'identity' }, '0'],
    ['a method that is not there', { ':path': '/grpc.health.v1.Health/Nothing' }, '12'],
    ['a method that nobody handles', { ':path': '/grpc.health.v1.Health/List' }, '12'],
    ['a path that is none', { ':path': 'Check' }, 'reset 1'],
    ['no time at all', { 'grpc-timeout': '0n' }, '4'],
    ['a time in no unit', { 'grpc-timeout': '10' }, '13'],
    ['the longest time', { 'grpc-timeout': '99999999H' }, '0'],
  ] as const;
  test.each(rows)('%s', async (_what, fields, status) => {
    const client = connect(path);
    client.send(call(1, fields), lastData(1, request(status === '4' ? 'wait' : 'a')));
    expect(await client.statusOf(1)).toBe(status);
    expect(seen.handled.includes('a')).toBe(status === '0');
  });

  test.each([['text/plain'], [undefined]])('a content-type of %s has HTTP status 415', async (type) => {
    const client = connect(path);
    client.send(call(1, { 'content-type': type }), lastData(1, request('a')));
    await client.receive(({ streamId }) => streamId === 1);
    expect([client.valueOf(1, ':status'), seen.handled]).toEqual(['415', []]);
  });

  test.each([
    ['gzip', 1, '0', ['a']],
    ['gzip, though not this message', 0, '0', ['a']],
    ['snappy', 1, '12', []],
  ] as const)('messages encoded as %s', async (encoding, flag, status, handled) => {
    const message = request('a').subarray(5);
    const client = connect(path);
    client.send(call(1, { 'grpc-encoding': encoding.split(',')[0] ?? '' }));
    client.send(lastData(1, frame(flag === 0 ? message : gzipSync(message), flag)));
    expect([await client.statusOf(1), seen.handled]).toEqual([status, handled]);
  });

  test('a message that grows beyond the limit when it is decompressed is refused', async () => {
    const client = connect(path);
    client.send(call(1, { 'grpc-encoding': 'gzip' }), lastData(1, frame(gzipSync(Buffer.alloc(100_000)), 1)));
    expect([await client.statusOf(1), seen.handled]).toEqual([String(Status.ResourceExhausted), []]);
  });

  test('are what the handler is told: texts, bytes, deadline, method, peer', async () => {
    const client = connect(path);
    const before = Date.now();
    const own = { text: 'one', 'b-bin': 'dHdv, dGhyZWU', 'grpc-timeout': '8760H' };
    client.send(call(1, own), lastData(1, request('a')));
    expect(await client.statusOf(1)).toBe('0');
    const [context] = seen.contexts;
    expect(context?.metadata.getAllText('text')).toEqual(['one']);
    expect(Buffer.from(context?.metadata.findBytes('b-bin') ?? []).toString()).toBe('two');
    for (const name of ['te', 'content-type', 'grpc-timeout', ':path']) {
      expect(context?.metadata.getAllText(name)).toEqual([]);
    }
    expect((context?.deadlineAt ?? 0) - before).toBeGreaterThanOrEqual(8760 * 3_600_000);
    expect([context?.method, context?.peer]).toMatchObject(['/grpc.health.v1.Health/Check', { pid: process.pid }]);
  });

  test('in too great a number end the call alone, unseen', async () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`h-${index}`, 'x']));
    const client = connect(path);
    client.send(call(1, many));
    expect(await client.statusOf(1)).toMatch(/^reset /);
    client.send(call(3), lastData(3, request('next')));
    expect([await client.statusOf(3), seen.handled]).toEqual(['0', ['next']]);
  });
});

describe('a call that is cancelled', () => {
  /** That a cancelled call has left nothing behind: the connection serves another. */
  async function servesOn(client: RawClient): Promise<void> {
    client.send(call(99), lastData(99, request('next')));
    expect(await client.statusOf(99)).toBe('0');
  }

  test('before its request is there reaches nobody', async () => {
    const client = connect(path);
    client.send(call(1), data(1, request('a')), reset(1));
    client.send(call(3), reset(3));
    await servesOn(client);
    expect([seen.handled, seen.observed]).toEqual([['next'], [Status.Ok]]);
  });

  test.each([
    ['one answer', call],
    ['several', watch],
  ])('while %s is awaited ends its handler', async (_what, start) => {
    const client = connect(path);
    client.send(start(1), lastData(1, request('wait')));
    await eventually(() => expect(seen.handled).toEqual(['wait']));
    client.send(reset(1));
    await eventually(() => expect(seen.aborted).toContain('wait'));
    await servesOn(client);
    expect(client.valueOf(1, 'grpc-status')).toBeUndefined();
  });

  test('with its request, in one piece, is never answered', async () => {
    const client = connect(path);
    client.send(Buffer.concat([call(1), lastData(1, request('wait')), reset(1)]));
    await servesOn(client);
    expect(client.valueOf(1, 'grpc-status')).toBeUndefined();
  });

  test('in a flood of answers that it does not read, or with its connection, ends its handler', async () => {
    const client = connect(path);
    client.send(watch(1), lastData(1, request('flood')));
    await eventually(() => expect(client.dataOf(1)).toHaveLength(WINDOW_BYTES));
    client.send(reset(1));
    await eventually(() => expect(seen.aborted).toEqual(['finally flood']));
    client.send(windowUpdate(0, WINDOW_BYTES), watch(3), lastData(3, request('flood')));
    await eventually(() => expect(client.dataOf(3)).toHaveLength(WINDOW_BYTES));
    client.send(call(5), lastData(5, request('wait')));
    await eventually(() => expect(seen.handled).toEqual(['wait']));
    client.socket.destroy();
    await eventually(() => expect(seen.aborted.toSorted()).toEqual(['finally flood', 'finally flood', 'wait']));
  });
});

describe('a deadline', () => {
  test('that passes before the request is there refuses it, and wants no more of it', async () => {
    const client = connect(path);
    client.send(call(1, { 'grpc-timeout': '20m' }), data(1, request('a')));
    expect([await client.statusOf(1), seen.handled]).toEqual(['4', []]);
    expect((await wasReset(client, 1))?.payload.readUInt32BE()).toBe(NO_ERROR);
  });

  test.each([
    ['one answer', call, []],
    ['several', watch, [1, 1]],
  ] as const)('of a call for %s ends its handler', async (_what, start, answers) => {
    const client = connect(path);
    client.send(start(1, { 'grpc-timeout': '100000u' }), lastData(1, request('wait')));
    expect([await client.statusOf(1), answersOf(client, 1)]).toEqual(['4', answers]);
    await eventually(() => expect(seen.aborted).toContain('wait'));
  });
});

describe('what is answered', () => {
  test('waits for a client that reads slowly, in little memory, and all arrives', async () => {
    const client = new RawClient(path);
    client.send(PREFACE, settings(0x4, 7)); // INITIAL_WINDOW_SIZE
    client.send(watch(1), lastData(1, request('a')), call(3), lastData(3, request('b')));
    await eventually(() => expect([client.dataOf(1).length, client.dataOf(3).length]).toEqual([7, 7]));
    client.send(windowUpdate(1, 1_000), windowUpdate(3, 1_000));
    expect([await client.statusOf(1), await client.statusOf(3)]).toEqual(['0', '0']);
    expect([answersOf(client, 1), answersOf(client, 3)]).toEqual([[1, 1, 2], [1]]);
  });

  test.each([
    ['one answer', call, []],
    ['several, some of them sent', watch, [1, 1]],
  ] as const)('a refusal of a call for %s has its status, message and details', async (_what, start, answers) => {
    const client = connect(path);
    client.send(start(1), lastData(1, request('refuse')));
    expect([await client.statusOf(1), answersOf(client, 1)]).toEqual([String(Status.PermissionDenied), answers]);
    expect(client.valueOf(1, 'grpc-message')).toBe('%C3%BC%20100%25%20no%0A');
    expect(Buffer.from(client.valueOf(1, 'grpc-status-details-bin') ?? '', 'base64').toString('latin1')).toContain(
      'type/x',
    );
    expect([seen.before, seen.after, seen.observed]).toEqual([1, ['PERMISSION_DENIED'], [Status.PermissionDenied]]);
  });

  test.each([
    ['half a character', Status.InvalidArgument, 'a%20%EF%BF%BD%20b', 0],
    ['stranger', Status.Internal, 'internal%20error', 1],
    ['broken', Status.Internal, 'internal%20error', 1],
  ])('of %s is status %i', async (what, status, message, logged) => {
    const client = connect(path);
    client.send(call(1), lastData(1, request(what)));
    expect([await client.statusOf(1), client.valueOf(1, 'grpc-message')]).toEqual([String(status), message]);
    expect([records.length, seen.observed]).toEqual([logged, [status]]);
  });

  test('an interceptor refuses before the handler', async () => {
    const client = connect(path);
    client.send(call(1, { refuse: 'yes' }), lastData(1, request('a')));
    expect([await client.statusOf(1), seen.handled]).toEqual([String(Status.Unauthenticated), []]);
    expect([seen.after, seen.observed]).toEqual([['UNAUTHENTICATED'], [Status.Unauthenticated]]);
  });
});

test('a server that stops says so, ends streams, and refuses what does not end in its time', async () => {
  await using folder = await createTemporaryFolder();
  const server = await serve(folder.join('s'));
  const client = new RawClient(folder.join('s'));
  client.send(PREFACE, SETTINGS, call(1), lastData(1, request('wait 1')), watch(3), lastData(3, request('wait 3')));
  client.send(call(5), data(5, request('never ends')));
  await eventually(() => expect(seen.handled.toSorted()).toEqual(['wait 1', 'wait 3']));
  const disposal = server[Symbol.asyncDispose]();
  expect(await client.receive(({ type }) => type === FrameType.Goaway)).toBeDefined();
  expect([await client.statusOf(3), await client.statusOf(1)]).toEqual(['14', '14']);
  expect(seen.aborted.toSorted()).toEqual(['finally wait 3', 'wait 1', 'wait 3']);
  await client.closed();
  await disposal;
});
