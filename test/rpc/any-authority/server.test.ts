import { randomInt, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HealthDefinition } from '../../../src/gen/grpc/health/v1/health.ts';
import { Logger } from '../../../src/log/logger.ts';
import { encodeFrame, Flag, FrameType, isSettingsAck, PREFACE } from '../../../src/rpc/any-authority/frames.ts';
import { encodeHeaderFrames } from '../../../src/rpc/any-authority/header-assembler.ts';
import { RpcServer } from '../../../src/rpc/server.ts';
import { bindService } from '../../../src/rpc/service.ts';
import { listenUnix } from '../../../src/rpc/unix-listener.ts';
import { SpiffeError } from '../../../src/spiffe/error.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { block, body, callBy, headers, RawClient, requestFields, SETTINGS, SETTINGS_ACK } from './raw-client.ts';

// Frame by frame what clients may send, and must not. grpc-java itself is in test/interop/workload-clients.test.ts.

const log = new Logger(() => {});
const OK = '0';
const PATH = [':authority', '/run/agent/api.sock'] as const;
const NAME = [':authority', 'localhost'] as const;
/** Of a client whose connection is rewritten, and of one whose is not. */
const kinds = [
  ['a path', PATH],
  ['a name', NAME],
] as const;

const LONG = 40_000;

/** Answers this process alone, and no header `long` that has lost a part. */
const service = bindService(HealthDefinition, {
  check: async (_request, { peer, metadata }) => {
    if (peer.kind !== 'unix' || peer.pid !== process.pid) throw new SpiffeError('UNAUTHENTICATED', 'a stranger calls');
    if (metadata.getAllText('long').some(({ length }) => length !== LONG)) {
      throw new SpiffeError('ARGUMENT_INVALID', 'a header is shorter than it was');
    }
    return { status: 1 };
  },
});

const resources = new AsyncDisposableStack();
let folder: string;
let path: string;
beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder()).path;
  path = `${folder}/s`;
  resources.use(await serve(path));
});
afterAll(() => resources.disposeAsync());

async function serve(at: string): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(RpcServer.create({ services: [service], log, graceMs: 100 }));
  const onConnection: Parameters<typeof listenUnix>[0]['onConnection'] = (socket, peer) =>
    server.acceptAnyAuthority(socket, peer);
  stack.use(await listenUnix({ path: at, mode: 0o700, log, onConnection }));
  return stack.move();
}

describe.each(kinds)('a client with %s as its authority', (_kind, authority) => {
  test('is answered, call after call', async () => {
    const client = new RawClient(path);
    client.send(PREFACE, SETTINGS, callBy(1, authority));
    expect(await client.statusOf(1)).toBe(OK);
    client.send(callBy(3, authority), callBy(5, authority));
    expect([await client.statusOf(3), await client.statusOf(5)]).toEqual([OK, OK]);
  });

  test('is answered when every byte comes alone', async () => {
    const client = new RawClient(path);
    client.socket.setNoDelay();
    for (const byte of Buffer.concat([PREFACE, SETTINGS, callBy(1, authority)])) {
      client.send(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.send(SETTINGS_ACK, callBy(3, authority));
    expect([await client.statusOf(1), await client.statusOf(3)]).toEqual([OK, OK]);
  });

  const orders = [
    ['before its first request', [SETTINGS_ACK, callBy(1, authority)]],
    ['after it', [callBy(1, authority), SETTINGS_ACK]],
    ['within it', [headers(1, requestFields(authority)), SETTINGS_ACK, body(1)]],
  ] as const;
  test.each(orders)('may wait for SETTINGS, and acknowledge them %s (RFC 9113 §6.5.3)', async (_order, frames) => {
    const client = new RawClient(path);
    client.send(PREFACE, SETTINGS);
    expect((await client.receive(() => true))?.type).toBe(FrameType.Settings);
    for (const frame of frames) client.send(frame);
    expect(await client.statusOf(1)).toBe(OK);
    await client.receive(isSettingsAck); // nghttp2's own come with it: this is theirs
    client.send(SETTINGS_ACK, callBy(3, authority));
    expect(await client.statusOf(3)).toBe(OK);
    client.send(SETTINGS_ACK, callBy(5, authority)); // one too many is nghttp2's to refuse
    expect(await client.refusal()).toBe(1);
  });

  test('has its pings answered, before its first request and after (RFC 9113 §6.7)', async () => {
    const client = new RawClient(path);
    const ping = (text: string) => encodeFrame(FrameType.Ping, 0, 0, Buffer.from(text));
    const isPong = (text: string) => (frame: { type: number; flags: number; payload: Buffer }) =>
      frame.type === FrameType.Ping && frame.flags === Flag.Ack && frame.payload.toString() === text;
    client.send(PREFACE, SETTINGS, ping('12345678'));
    expect(await client.receive(isPong('12345678'))).toBeDefined();
    expect(client.frames[0]?.type).toBe(FrameType.Settings); // a server's first frame
    client.send(SETTINGS_ACK, callBy(1, authority), ping('abcdefgh'));
    expect(await client.receive(isPong('abcdefgh'))).toBeDefined();
    expect(await client.statusOf(1)).toBe(OK);
    expect(client.frames.filter(isPong('12345678'))).toHaveLength(1);
  });

  test('may pad, give a priority, continue, and change the size of its table (RFC 9113 §6.2, §6.10)', async () => {
    const client = new RawClient(path);
    const whole = block(requestFields(authority));
    const priority = Buffer.of(0, 0, 0, 0, 15);
    const padded = Buffer.concat([Buffer.of(4), priority, Buffer.of(0x20, 0x3f, 0xe1, 0x1f), whole, Buffer.alloc(4)]);
    client.send(
      PREFACE,
      SETTINGS,
      encodeFrame(FrameType.Headers, Flag.EndHeaders | Flag.Padded | Flag.Priority, 1, padded),
    );
    client.send(body(1));
    expect(await client.statusOf(1)).toBe(OK);
    const continued = [
      encodeFrame(FrameType.Headers, 0, 3, whole.subarray(0, -2)),
      encodeFrame(FrameType.Continuation, 0, 3, whole.subarray(-2, -1)),
      encodeFrame(FrameType.Continuation, Flag.EndHeaders, 3, whole.subarray(-1)),
    ];
    client.send(...continued, body(3));
    expect(await client.statusOf(3)).toBe(OK);
  });

  test('may refer to what it sent before (RFC 7541 §2.3.2)', async () => {
    const client = new RawClient(path);
    const [name, value] = authority;
    const indexed = Buffer.concat([
      Buffer.of(0x83, 0x86, 0x40, name.length),
      Buffer.from(name),
      Buffer.of(value.length),
      Buffer.from(value),
      block(requestFields().filter(([field]) => field !== ':method' && field !== ':scheme')),
    ]);
    const again = Buffer.concat([Buffer.of(0x83, 0x86, 0xbe), block(requestFields().slice(2))]);
    const request = (streamId: number, bytes: Buffer) =>
      Buffer.concat([encodeFrame(FrameType.Headers, Flag.EndHeaders, streamId, bytes), body(streamId)]);
    client.send(PREFACE, SETTINGS, request(1, indexed));
    expect(await client.statusOf(1)).toBe(OK);
    client.send(request(3, again), request(5, again));
    expect([await client.statusOf(3), await client.statusOf(5)]).toEqual([OK, OK]);
  });

  test('may send headers beyond one frame (RFC 9113 §6.10)', async () => {
    const client = new RawClient(path);
    const fields = requestFields(authority, ['long', 'x'.repeat(LONG)]);
    const frames = encodeHeaderFrames({ streamId: 1, isEndOfStream: false, fields: [] }, block(fields));
    expect(frames.length).toBeGreaterThan(2);
    client.send(PREFACE, SETTINGS, ...frames, body(1));
    expect(await client.statusOf(1)).toBe(OK);
  });

  test('that ends its side of the connection has ended it', async () => {
    const client = new RawClient(path);
    client.send(PREFACE, SETTINGS, callBy(1, authority));
    await client.statusOf(1);
    client.socket.end();
    await client.closed();
  });

  test('is known by its connection, whatever authority it names later', async () => {
    const client = new RawClient(path);
    client.send(PREFACE, SETTINGS, callBy(1, authority), callBy(3, [':authority', randomUUID()]));
    client.send(callBy(5, ['host', randomUUID()]), callBy(7, [':authority', randomUUID()], ['host', randomUUID()]));
    expect(await Promise.all([1, 3, 5, 7].map((id) => client.statusOf(id)))).toEqual([OK, OK, OK, OK]);
  });
});

test('a path may be the host, where there is no authority (RFC 9113 §8.3.1)', async () => {
  const client = new RawClient(path);
  client.send(PREFACE, SETTINGS, callBy(1, ['host', '/run/agent/api.sock']));
  expect(await client.statusOf(1)).toBe(OK);
});

test('two authorities, or none, are refused as ever (RFC 9113 §8.3)', async () => {
  const client = new RawClient(path);
  client.send(PREFACE, SETTINGS, callBy(1, PATH, PATH), callBy(3), callBy(5, PATH));
  expect(await Promise.all([1, 3, 5].map((id) => client.statusOf(id)))).toEqual(['reset 1', 'reset 1', OK]);
});

test('a client that never acknowledges SETTINGS is served once it has said enough', async () => {
  const client = new RawClient(path);
  client.send(PREFACE, SETTINGS);
  await client.receive(({ type }) => type === FrameType.Settings);
  client.send(headers(1, requestFields(NAME)));
  const message = Buffer.alloc(60_000);
  message.writeUInt32BE(message.length - 5, 1);
  message.set([0x12, 0xd7, 0xd4, 0x03], 5); // a field that is not known, of 59,991 bytes
  for (let at = 0; at < message.length; at += 10_000) {
    const flags = at + 10_000 < message.length ? 0 : Flag.EndStream;
    client.send(encodeFrame(FrameType.Data, flags, 1, message.subarray(at, at + 10_000)));
  }
  const filler = encodeFrame(0xfe, 0, 0, Buffer.alloc(16_000)); // of a type that is not known: RFC 9113 §4.1
  client.send(...Array.from({ length: 5 }, () => filler));
  expect(await client.statusOf(1)).toBe(OK);
});

const PROTOCOL = 1;
const FRAME_SIZE = 6;
const COMPRESSION = 9;
const CALM = 11;
const frame = (type: number, flags: number, streamId: number, bytes: readonly number[] | Uint8Array | string) =>
  encodeFrame(type, flags, streamId, typeof bytes === 'string' ? Buffer.from(bytes) : Uint8Array.from(bytes));
const tooLong = Buffer.concat([Buffer.of(0x00, 0x40, 0x01), frame(FrameType.Data, 0, 1, '').subarray(3)]);
const repeat = (times: number, bytes: Buffer): readonly Buffer[] => Array.from({ length: times }, () => bytes);

const malformed = [
  ['another protocol', PROTOCOL, ['GET / HTTP/1.1\r\n\r\n']],
  ['a preface that is wrong at its end', PROTOCOL, ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r.']],
  ['a frame of 16,385 bytes (§4.2)', FRAME_SIZE, [PREFACE, SETTINGS, tooLong]],
  ['headers of no stream (§6.2)', PROTOCOL, [PREFACE, SETTINGS, headers(0, requestFields(NAME))]],
  [
    'padding beyond the frame (§6.2)',
    PROTOCOL,
    [PREFACE, SETTINGS, frame(1, Flag.EndHeaders | Flag.Padded, 1, [9, 1])],
  ],
  ['padding that is not there', PROTOCOL, [PREFACE, SETTINGS, frame(1, Flag.EndHeaders | Flag.Padded, 1, [])]],
  ['a priority that is cut off', PROTOCOL, [PREFACE, SETTINGS, frame(1, Flag.EndHeaders | Flag.Priority, 1, [0, 0])]],
  ['a header block that is interrupted (§6.10)', PROTOCOL, [PREFACE, SETTINGS, frame(1, 0, 1, []), SETTINGS]],
  ['a continuation of nothing (§6.10)', PROTOCOL, [PREFACE, SETTINGS, frame(9, Flag.EndHeaders, 1, [])]],
  ['a promise to push (§8.4)', PROTOCOL, [PREFACE, SETTINGS, frame(5, Flag.EndHeaders, 1, [0, 0, 0, 2])]],
  ['SETTINGS acknowledged that were not sent', PROTOCOL, [PREFACE, SETTINGS_ACK]],
  ['a ping of a stream (§6.7)', PROTOCOL, [PREFACE, SETTINGS, frame(6, 0, 1, '12345678')]],
  ['a ping of seven bytes (§6.7)', FRAME_SIZE, [PREFACE, SETTINGS, frame(6, 0, 0, '1234567')]],
  [
    'a header block that cannot be decoded (§4.3)',
    COMPRESSION,
    [PREFACE, SETTINGS, frame(1, Flag.EndHeaders, 1, [0x80])],
  ],
] as const;

test.each(malformed)('closes a connection with %s', async (_what, code, frames) => {
  const client = new RawClient(path);
  client.send(...frames);
  expect(await client.refusal()).toBe(code);
});

const floods = [
  ['headers without an end', [frame(1, 0, 1, []), ...repeat(20, frame(9, 0, 1, new Uint8Array(16_000)))]],
  ['headers without an end and without bytes', [frame(1, 0, 1, []), ...repeat(20_000, frame(9, 0, 1, []))]],
  ['no request for long', repeat(20, frame(0xfe, 0, 0, new Uint8Array(16_000)))],
] as const;

test.each(floods)('closes a connection with %s', async (_what, frames) => {
  const client = new RawClient(path);
  client.send(PREFACE, SETTINGS, ...frames);
  expect([CALM, undefined]).toContain(await client.refusal()); // it may be cut off while it writes
});

test('closes a connection that does not read the answers to its pings', async () => {
  const client = new RawClient(path);
  client.socket.pause();
  client.send(PREFACE, SETTINGS);
  const pings = Buffer.concat(repeat(10_000, frame(6, 0, 0, '12345678')));
  while (!client.socket.closed && !client.socket.errored) {
    client.send(pings);
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test('closes a connection that is rewritten and becomes malformed', async () => {
  for (const bad of [frame(1, Flag.EndHeaders, 3, [0x80]), tooLong, frame(9, 0, 3, [])]) {
    const client = new RawClient(path);
    client.send(PREFACE, SETTINGS, callBy(1, PATH));
    await client.statusOf(1);
    client.send(bad);
    expect(await client.refusal()).toBeGreaterThan(0);
  }
});

test('closes a connection whose header blocks stand for far more than was sent', async () => {
  const client = new RawClient(path);
  client.send(PREFACE, SETTINGS, callBy(1, [':authority', 'a/b']));
  // A field of 4,000 bytes that is kept in the table (RFC 7541 §6.2.1), then blocks of sixteen references to it.
  const kept = Buffer.concat([Buffer.of(0x40, 1, 0x61, 0x7f, 0xa1, 0x1e), Buffer.alloc(4_000, 0x62)]);
  const blocks = Array.from({ length: 200 }, (_, index) =>
    encodeFrame(FrameType.Headers, Flag.EndHeaders, 5 + 2 * index, Buffer.alloc(16, 0xbe)),
  );
  client.send(encodeFrame(FrameType.Headers, Flag.EndHeaders, 3, kept), ...blocks);
  await client.closed();
});

test('a server that ends closes the connections that have not called yet', async () => {
  const server = await serve(`${folder}/short`);
  const clients = ['', 'PRI', PREFACE.toString(), PREFACE.toString() + SETTINGS.toString('latin1')].map((bytes) => {
    const client = new RawClient(`${folder}/short`);
    client.socket.write(bytes, 'latin1');
    return client;
  });
  const called = new RawClient(`${folder}/short`);
  called.send(PREFACE, SETTINGS, callBy(1, PATH));
  await called.statusOf(1);
  await server[Symbol.asyncDispose]();
  await Promise.all([...clients, called].map((client) => client.refusal()));
});

describe('whatever comes', () => {
  const ROUNDS = 400;
  const AT_ONCE = 20;

  test('ends its own connection at most', async () => {
    const bystander = new RawClient(path);
    bystander.send(PREFACE, SETTINGS, callBy(1, PATH));
    for (let round = 0; round < ROUNDS / AT_ONCE; round++) {
      await Promise.all(
        Array.from({ length: AT_ONCE }, async () => {
          const client = new RawClient(path);
          const authority = randomInt(2) === 0 ? PATH : NAME;
          const start = [SETTINGS, callBy(1, authority), callBy(3, authority), SETTINGS_ACK];
          client.send(PREFACE, mutate(Buffer.concat(start)));
          client.socket.end();
          await client.closed();
        }),
      );
    }
    bystander.send(callBy(3, PATH));
    expect(await bystander.statusOf(3)).toBe(OK);
  });
});

/** Changes, cuts or repeats a little. */
function mutate(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  for (let change = 0; change < 1 + randomInt(4); change++) changed[randomInt(changed.length)] = randomInt(256);
  const [from = 0, to = 0] = [randomInt(changed.length), randomInt(changed.length)];
  if (randomInt(3) > 0) return changed;
  return from < to ? Buffer.concat([changed.subarray(0, to), changed.subarray(from)]) : changed.subarray(0, from);
}
