import { randomBytes, randomInt } from 'node:crypto';
import { connect } from 'node:http2';
import { createConnection } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HealthDefinition } from '../../src/gen/grpc/health/v1/health.ts';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type MethodDefinition, methodPath, type ServiceDefinition } from '../../src/rpc/definition.ts';
import { Status } from '../../src/spiffe/status.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { type AgentCaller, apiId, attestByJoinToken, TlsCaller } from './callers.ts';
import { rawCall } from './raw-call.ts';

const resources = new AsyncDisposableStack();
let server: TestServer;
let agent: AgentCaller;
let local: RpcChannel;

const SERVICES: readonly ServiceDefinition[] = [
  AgentDefinition,
  BundleDefinition,
  EntryDefinition,
  SVIDDefinition,
  HealthDefinition,
];
const METHODS = SERVICES.flatMap((service) =>
  Object.values(service.methods).map((method): readonly [string, MethodDefinition] => [
    methodPath(service, method),
    method,
  ]),
);
/** A call may fail in these ways, and in no other. */
const ORDERLY: readonly number[] = [
  Status.Ok,
  Status.InvalidArgument,
  Status.NotFound,
  Status.AlreadyExists,
  Status.PermissionDenied,
  Status.FailedPrecondition,
  Status.Unimplemented,
];

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path }));
});
beforeEach(async () => {
  local = RpcChannel.unix(server.running.socketPath);
  agent = await attestByJoinToken(server);
  return () => {
    local[Symbol.dispose]();
    agent[Symbol.dispose]();
  };
});
afterAll(async () => {
  await stillWorks();
  expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
  await resources.disposeAsync();
});

async function stillWorks(): Promise<void> {
  const mint = { id: apiId('/web'), audience: ['a'], ttl: 0 };
  expect((await server.admin(SVIDDefinition).mintJWTSVID(mint)).svid?.token).toMatch(/^ey/);
  using caller = await attestByJoinToken(server);
  await caller.client(AgentDefinition).postStatus({ agentVersion: '', currentBundleSerial: 0n });
}

describe('messages of whatever bytes', () => {
  /** Field tags with lengths that lie, and fields of types that they are not of. */
  const SHAPES: readonly (() => Uint8Array)[] = [
    () => randomBytes(randomInt(1, 200)),
    () => Buffer.concat([Buffer.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f), randomBytes(8)]),
    () => Buffer.concat([Buffer.of(0x0a, 0x7f), randomBytes(10)]),
    () => Buffer.alloc(50, 0x80),
    () => Buffer.concat(Array.from({ length: 40 }, (_, n) => Buffer.of(((n % 15) + 1) << 3, randomInt(128)))),
    () => Buffer.alloc(1_000_000, 0x7b), // groups within groups
    () => nested(1000, 0x0a),
    () => nested(1000, 0x12),
    () => Buffer.concat([Buffer.of(0x0a, 4), Buffer.of(0xff, 0xfe, 0x00, 0x80)]),
  ];
  const nested = (depth: number, tag: number): Uint8Array => {
    let bytes: Buffer = Buffer.of(tag, 0);
    for (let level = 0; level < depth; level += 1) {
      const length = bytes.length;
      const varint = length < 128 ? Buffer.of(length) : Buffer.of((length & 0x7f) | 0x80, length >> 7);
      bytes = Buffer.concat([Buffer.of(tag), varint, bytes]);
    }
    return bytes;
  };

  test.each(METHODS)('%s', async (path) => {
    for (const channel of [local, agent.channel]) {
      for (const shape of SHAPES) {
        for (let round = 0; round < 4; round += 1) {
          const bytes = shape();
          const code = await rawCall(channel, path, bytes);
          // Bytes that are no message at all are answered by gRPC itself, as an internal error.
          expect([...ORDERLY, Status.Internal], Buffer.from(bytes.subarray(0, 200)).toString('hex')).toContain(code);
        }
      }
    }
  });
});

describe('messages that are messages, and mutated', () => {
  test.each(METHODS)('%s', async (path, { requestType }) => {
    const text = () =>
      ['', 'example.org', '/web', '\0', 'é'.repeat(300), randomBytes(9).toString('latin1')][randomInt(6)];
    const value = (depth: number): unknown =>
      depth > 4 ? text() : [text(), randomInt(2 ** 31), -1, true, {}, undefined, [text()]][randomInt(7)];
    for (let round = 0; round < 40; round += 1) {
      const template = Object.keys(requestType.decode(new Uint8Array()) as object);
      const message = Object.fromEntries(template.map((key) => [key, value(0)]));
      let bytes: Uint8Array;
      try {
        bytes = requestType.encode(message as never).finish();
      } catch {
        continue; // not every value has an encoding
      }
      expect(ORDERLY).toContain(await rawCall(local, path, bytes));
    }
  });
});

test.each(['unix', 'tls'])('a message of more than 4 MiB is refused, and the connection stays (%s)', async (way) => {
  const channel = way === 'tls' ? agent.channel : local;
  const path = '/spire.api.server.entry.v1.Entry/GetEntry';
  expect(await rawCall(channel, path, Buffer.alloc(4 * 1024 * 1024 + 1))).toBe(Status.ResourceExhausted);
  expect(await rawCall(channel, path, new Uint8Array())).not.toBe(Status.ResourceExhausted);
});

test('a compressed bomb is refused', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  const frame = Buffer.alloc(5);
  frame[0] = 1;
  frame.writeUInt32BE(bomb.length, 1);
  const status = await overHttp2({ 'grpc-encoding': 'gzip' }, Buffer.concat([frame, bomb]));
  expect(status).toBe(String(Status.ResourceExhausted));
});

test.each([
  ['no message', Buffer.alloc(0)],
  ['half a header', Buffer.of(0, 0)],
  ['a length that lies', Buffer.of(0, 0xff, 0xff, 0xff, 0xff, 1)],
  ['an unknown compression flag', Buffer.of(9, 0, 0, 0, 0)],
  ['two messages where one belongs', Buffer.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
])('a body of %s is answered', async (_what, body) => {
  expect(await overHttp2({}, body)).not.toBe('none');
});

/** One call on a connection of its own, without gRPC's client. @returns `grpc-status`, or none. */
async function overHttp2(headers: Record<string, string>, body: Uint8Array): Promise<string> {
  const session = connect('http://localhost', { createConnection: () => createConnection(server.running.socketPath) });
  session.on('error', () => {});
  const stream = session.request({
    ':method': 'POST',
    ':path': '/spire.api.server.entry.v1.Entry/CountEntries',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  const { promise, resolve } = Promise.withResolvers<string>();
  const note = (seen: Record<string, unknown>) => {
    if (typeof seen['grpc-status'] === 'string') resolve(seen['grpc-status']);
  };
  stream.on('response', note);
  stream.on('trailers', note);
  stream.on('error', () => {});
  stream.on('close', () => resolve('none'));
  stream.resume();
  stream.end(body);
  const status = await promise;
  session.destroy();
  return status;
}

test('1,000 calls at once on one connection, and 1,000 streams that stay open', async () => {
  const path = '/spire.api.server.bundle.v1.Bundle/GetBundle';
  const codes = await Promise.all(Array.from({ length: 1000 }, () => rawCall(agent.channel, path, new Uint8Array())));
  expect(new Set(codes)).toEqual(new Set([Status.Ok]));
  const streams = Array.from({ length: 1000 }, () => agent.client(AgentDefinition).attestAgent());
  await stillWorks();
  for (const stream of streams) stream.cancel();
});

test('200 connections that say nothing, and 200 that say nonsense', async () => {
  const sockets = Array.from({ length: 400 }, (_, n) => {
    const socket =
      n % 2 === 0
        ? createConnection({ port: server.running.port, host: '127.0.0.1' })
        : createConnection(server.running.socketPath);
    socket.on('error', () => {});
    if (n % 4 > 1) socket.write(randomBytes(500));
    return socket;
  });
  await stillWorks();
  for (const socket of sockets) socket.destroy();
});

test('calls that are cancelled while they are served', async () => {
  for (let round = 0; round < 50; round += 1) {
    const controller = new AbortController();
    const calls = [
      server.admin(SVIDDefinition).mintJWTSVID({ id: apiId('/w'), audience: ['a'], ttl: 0 }, controller),
      agent.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined }, controller),
    ];
    setImmediate(() => controller.abort());
    await Promise.allSettled(calls);
  }
  using caller = new TlsCaller(server);
  const stream = caller.client(AgentDefinition).attestAgent();
  stream.cancel();
  await expect(stream.receive()).rejects.toMatchObject({ status: Status.Cancelled });
});
