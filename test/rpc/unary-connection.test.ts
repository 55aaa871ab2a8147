import { once } from 'node:events';
import { constants, createServer, type ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Status as RpcStatus } from '../../src/gen/google/rpc/status.ts';
import { ConfigDefinition, ConfigureRequest } from '../../src/gen/spire/service/common/config/v1/config.ts';
import { Logger } from '../../src/log/logger.ts';
import type { CallContext } from '../../src/rpc/call.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { bindService } from '../../src/rpc/service.ts';
import { RequestNotTaken, UnaryConnection } from '../../src/rpc/unary-connection.ts';
import { UnaryResponse } from '../../src/rpc/unary-response.ts';
import { listenUnix } from '../../src/rpc/unix-listener.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { Status } from '../../src/spiffe/status.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const log = new Logger(() => {});

/** Our own server over grpc-js, and a client whose unary calls do without. */
async function serve(handler: (text: string, context: CallContext) => Promise<void>) {
  const resources = new AsyncDisposableStack();
  onTestFinished(() => resources.disposeAsync());
  const folder = resources.use(await createTemporaryFolder());
  const configure = bindService(ConfigDefinition, {
    async configure({ hclConfiguration }, context) {
      await handler(hclConfiguration, context);
      return {};
    },
    async validate({ hclConfiguration }) {
      return { valid: true, notes: [hclConfiguration] };
    },
  });
  const server = resources.use(RpcServer.create({ services: [configure], log, graceMs: 100, maxRequestBytes: -1 }));
  const path = folder.join('s');
  resources.use(
    await listenUnix({ path, mode: 0o700, log, onConnection: (socket, peer) => server.accept(socket, peer) }),
  );
  const open = (maxMessageBytes?: number) => {
    const channel = RpcChannel.unixForManyCalls(path, maxMessageBytes === undefined ? {} : { maxMessageBytes });
    resources.adopt(channel, (opened) => opened[Symbol.dispose]());
    return channel;
  };
  return { open, client: createClient(ConfigDefinition, open()), server };
}

const request = (hclConfiguration: string) => ConfigureRequest.fromPartial({ hclConfiguration });

test('carries message, deadline and metadata, text and bytes', async () => {
  const seen: unknown[] = [];
  const { client } = await serve(async (text, { method, metadata }) => {
    seen.push(text, method, metadata.findText('a'), metadata.findBytes('b-bin')?.toString());
  });
  await client.configure(request('x = 1'), { metadata: { a: 'one', 'b-bin': Buffer.from('two') }, deadlineMs: 9_000 });
  expect(seen).toEqual(['x = 1', '/spire.service.common.config.v1.Config/Configure', 'one', 'two']);
});

test('an error keeps code, message in any script, and details', async () => {
  const { client } = await serve(async () => {
    const details = [{ typeUrl: 'type.googleapis.com/x', value: Uint8Array.of(1, 2, 3) }];
    throw new SpiffeError('PERMISSION_DENIED', 'no: 100 % ☂\n', { details });
  });
  await expect(client.configure(request(''))).rejects.toMatchObject({
    name: 'RemoteError',
    status: Status.PermissionDenied,
    message: 'no: 100 % ☂\n',
    details: [{ typeUrl: 'type.googleapis.com/x', value: Buffer.of(1, 2, 3) }],
  });
});

test('a method that is not there is UNIMPLEMENTED', async () => {
  const { open } = await serve(async () => {});
  const other = { ...ConfigDefinition, fullName: 'nobody.Offers' };
  await expect(createClient(other, open()).configure(request(''))).rejects.toMatchObject({
    status: Status.Unimplemented,
  });
});

test('a thousand calls at once, and messages of megabytes, come back each to its caller', async () => {
  const { open } = await serve(async () => {});
  const client = createClient(ConfigDefinition, open(-1));
  const validate = async (text: string) => {
    const { notes } = await client.validate({ coreConfiguration: undefined, hclConfiguration: text });
    return notes[0];
  };
  const texts = Array.from({ length: 1_000 }, (_, index) => `call ${index}`);
  expect(await Promise.all(texts.map(validate))).toEqual(texts);
  const large = 'x'.repeat(5_000_000);
  expect(await validate(large)).toBe(large);
  const limited = createClient(ConfigDefinition, open(1_000));
  await expect(limited.validate({ coreConfiguration: undefined, hclConfiguration: large })).rejects.toMatchObject({
    status: Status.ResourceExhausted,
  });
});

test('a cancelled call and a deadline end the call at both ends', async () => {
  const aborted: string[] = [];
  const { client } = await serve(async (text, { signal }) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    aborted.push(text);
  });
  const controller = new AbortController();
  const call = client.configure(request('cancelled'), { signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  await expect(call).rejects.toMatchObject({ status: Status.Cancelled });
  await expect(client.configure(request('late'), { deadlineMs: 50 })).rejects.toMatchObject({
    status: Status.DeadlineExceeded,
  });
  await expect(client.configure(request('never'), { signal: AbortSignal.abort() })).rejects.toMatchObject({
    status: Status.Cancelled,
  });
  await expect.poll(() => aborted.toSorted()).toEqual(['cancelled', 'late']);
});

test('a server that goes away is UNAVAILABLE, and so is a channel that was closed', async () => {
  let entered = () => {};
  const inHandler = new Promise<void>((resolve) => {
    entered = resolve;
  });
  const { client, server, open } = await serve(async () => {
    entered();
    await new Promise(() => {});
  });
  const call = client.configure(request(''));
  call.catch(() => {});
  await inHandler;
  await server[Symbol.asyncDispose]();
  await expect(call).rejects.toMatchObject({ status: expect.toSatisfy(isGone) });
  const channel = open();
  channel[Symbol.dispose]();
  await expect(createClient(ConfigDefinition, channel).configure(request(''))).rejects.toMatchObject({
    status: Status.Unavailable,
  });
});

/** A server in good order may say CANCELLED before it goes. */
const isGone = (status: number) => status === Status.Unavailable || status === Status.Cancelled;

test('nobody at the socket is UNAVAILABLE; once somebody is there, the same connection works', async () => {
  await using folder = await createTemporaryFolder();
  const path = folder.join('s');
  using connection = new UnaryConnection({ connect: () => connect(path) });
  await expect(connection.call('/a/b', new Uint8Array(), {})).rejects.toMatchObject({
    status: Status.Unavailable,
    message: expect.stringContaining('ENOENT'),
  });
  const server = createServer();
  server.on('stream', (stream) => answer(stream, [frame('hello')], { 'grpc-status': '0' }));
  await once(server.listen(path), 'listening');
  onTestFinished(() => void server.close());
  expect(Buffer.from(await connection.call('/a/b', new Uint8Array(), {})).toString()).toBe('hello');
});

type Answer = (stream: ServerHttp2Stream) => void;
const GRPC = { ':status': 200, 'content-type': 'application/grpc' } as const;
const statusDetails = Buffer.from(RpcStatus.encode({ code: 5, message: '', details: [] }).finish());

const answers: readonly (readonly [what: string, answer: Answer, status: Status, message: RegExp])[] = [
  ['its connection cut', (stream) => stream.session?.socket.destroy(), Status.Unavailable, /connection was lost/],
  ['its stream refused', closed(constants.NGHTTP2_REFUSED_STREAM), Status.Unavailable, /refused/],
  ['its stream cancelled', closed(constants.NGHTTP2_CANCEL), Status.Cancelled, /cancelled/],
  ['ENHANCE_YOUR_CALM', closed(constants.NGHTTP2_ENHANCE_YOUR_CALM), Status.ResourceExhausted, /fewer/],
  ['INADEQUATE_SECURITY', closed(constants.NGHTTP2_INADEQUATE_SECURITY), Status.PermissionDenied, /secured/],
  ['a protocol error', closed(constants.NGHTTP2_PROTOCOL_ERROR), Status.Internal, /HTTP\/2 error 1/],
  ['HTTP 404', (stream) => stream.respond({ ':status': 404 }, { endStream: true }), Status.Unimplemented, /404/],
  ['HTTP 503', (stream) => stream.respond({ ':status': 503 }), Status.Unavailable, /503/],
  ['HTML', (stream) => stream.respond({ ':status': 200, 'content-type': 'text/html' }), Status.Unknown, /not gRPC/],
  ['no status', (stream) => answer(stream, [frame('x')], {}), Status.Unknown, /without a status/],
  ['no message', (stream) => answer(stream, [], { 'grpc-status': '0' }), Status.Internal, /without a message/],
  ['a compressed message', (stream) => answer(stream, [frame('x', 1)], OK), Status.Internal, /compressed/],
  ['two messages', (stream) => answer(stream, [frame('x'), frame('y')], OK), Status.Internal, /exactly one/],
  ['half a message', (stream) => answer(stream, [frame('xyz').subarray(0, 6)], OK), Status.Internal, /exactly one/],
  ['status 99', (stream) => answer(stream, [], { 'grpc-status': '99' }), Status.Unknown, /^$/],
  ['a status that is none', (stream) => answer(stream, [], { 'grpc-status': 'x' }), Status.Unknown, /^$/],
  [
    'a message that does not decode',
    (stream) => answer(stream, [], { 'grpc-status': '5', 'grpc-message': '%zz' }),
    Status.NotFound,
    /^%zz$/,
  ],
  [
    'details that are no protobuf',
    (stream) => answer(stream, [], { 'grpc-status': '5', 'grpc-status-details-bin': '////' }),
    Status.NotFound,
    /^$/,
  ],
  [
    'trailers only',
    (stream) =>
      stream.respond(
        {
          ...GRPC,
          'grpc-status': '5',
          'grpc-message': 'none',
          'grpc-status-details-bin': statusDetails.toString('base64'),
        },
        { endStream: true },
      ),
    Status.NotFound,
    /^none$/,
  ],
];

test.each(answers)('a call that is answered with %s fails as gRPC says', async (_what, respond, status, message) => {
  await using folder = await createTemporaryFolder();
  const server = createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    respond(stream);
  });
  await once(server.listen(folder.join('s')), 'listening');
  onTestFinished(() => void server.close());
  using connection = new UnaryConnection({ connect: () => connect(folder.join('s')) });
  await expect(connection.call('/a/b', new Uint8Array(), { deadlineMs: 5_000 })).rejects.toMatchObject({
    name: 'RemoteError',
    status,
    message: expect.stringMatching(message),
  });
});

const OK = { 'grpc-status': '0' };

function closed(code: number): Answer {
  return (stream) => stream.close(code);
}

/** Headers, then data, then trailers; with none of these, what an HTTP/2 server does. */
function answer(stream: ServerHttp2Stream, frames: readonly Uint8Array[], trailers: Record<string, string>): void {
  stream.respond(GRPC, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  for (const bytes of frames) stream.write(bytes);
  stream.end();
}

function frame(text: string, flag = 0): Uint8Array {
  const bytes = Buffer.alloc(5 + text.length);
  bytes[0] = flag;
  bytes.writeUInt32BE(text.length, 1);
  bytes.write(text, 5);
  return bytes;
}

/** A peer over plain HTTP/2 that does as it likes with each call. */
async function hostile(onStream: (stream: ServerHttp2Stream) => void, settings = {}): Promise<UnaryConnection> {
  const resources = new AsyncDisposableStack();
  onTestFinished(() => resources.disposeAsync());
  const folder = resources.use(await createTemporaryFolder());
  const server = createServer({ settings });
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    onStream(stream);
  });
  server.on('sessionError', () => {});
  const path = folder.join('s');
  await once(server.listen(path), 'listening');
  resources.defer(() => void server.close());
  const connection = new UnaryConnection({ connect: () => connect(path), maxMessageBytes: 1_000_000 });
  resources.defer(() => connection[Symbol.dispose]());
  return connection;
}
const GRPC_ANSWER = { ':status': 200, 'content-type': 'application/grpc' } as const;
const framed = (length: number) => Buffer.of(0, ...Buffer.from(length.toString(16).padStart(8, '0'), 'hex'));

test('an answer that is announced to be too long is refused before it comes', async () => {
  const connection = await hostile((stream) => {
    stream.respond(GRPC_ANSWER);
    stream.write(framed(2 ** 32 - 1));
  });
  await expect(connection.call('/a/b', new Uint8Array(0), { deadlineMs: 5_000 })).rejects.toMatchObject({
    status: Status.ResourceExhausted,
  });
});

test('an answer in pieces of one byte takes no more memory than it has bytes', async () => {
  const { setFlagsFromString } = await import('node:v8');
  setFlagsFromString('--expose-gc');
  const collect = (await import('node:vm')).runInNewContext('gc') as () => void;
  const used = () => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const length = 1_000_000;
  const response = new UnaryResponse(length);
  const before = used();
  for (const byte of framed(length)) expect(response.takeData(Uint8Array.of(byte))).toBeUndefined();
  for (let count = 0; count < length; count++) response.takeData(Uint8Array.of(count % 251));
  expect(used() - before).toBeLessThan(8 * length);
  response.takeTrailers({ 'grpc-status': '0' });
  const message = response.outcome(0, undefined);
  expect(message).toHaveLength(length);
  expect(message).toMatchObject({ 0: 0, 1: 1, 252: 1, 999999: 999_999 % 251 });
  expect(response.takeData(Uint8Array.of(1))).toMatchObject({ status: Status.Internal });
});

test('what a peer pushes is not taken', async () => {
  let pushed: unknown;
  const connection = await hostile((stream) => {
    try {
      stream.pushStream({ ':path': '/x' }, () => {});
    } catch (error) {
      pushed = error;
    }
    stream.respond({ ...GRPC_ANSWER, 'grpc-status': '5' }, { endStream: true });
  });
  await expect(connection.call('/a/b', new Uint8Array(0), { deadlineMs: 5_000 })).rejects.toMatchObject({
    status: Status.NotFound,
  });
  expect(pushed).toMatchObject({ code: 'ERR_HTTP2_PUSH_DISABLED' });
});

test('a peer that lets a call in and does not read its request is told from one that is slow', async () => {
  const connection = await hostile(() => {}, { initialWindowSize: 100 });
  const late = (bytes: number) => connection.call('/a/b', new Uint8Array(bytes), { deadlineMs: 300 });
  const read = await late(10).catch((error: unknown) => error);
  expect(read).toMatchObject({ status: Status.DeadlineExceeded });
  expect(read).not.toBeInstanceOf(RequestNotTaken);
  await expect(late(10_000)).rejects.toBeInstanceOf(RequestNotTaken);
});
