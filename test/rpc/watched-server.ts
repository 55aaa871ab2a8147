import { type HealthCheckRequest, HealthCheckResponse, HealthDefinition } from '../../src/gen/grpc/health/v1/health.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { encodeFrame, Flag, FrameType, PREFACE } from '../../src/rpc/any-authority/frames.ts';
import type { CallContext } from '../../src/rpc/call.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { type BoundService, bindService } from '../../src/rpc/service.ts';
import { listenUnix } from '../../src/rpc/unix-listener.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import type { Status } from '../../src/spiffe/status.ts';
import { headers, RawClient, SETTINGS } from './any-authority/raw-client.ts';

// A server that tells what its parts have seen, and the frames to call it with.

export const MAX_REQUEST_BYTES = 1_000;
const CANCEL = 8;
export const NO_ERROR = 0;
export const WINDOW_BYTES = 65_535;

/** What the server's parts have seen of calls. */
export const seen = {
  handled: [] as string[],
  aborted: [] as string[],
  before: 0,
  after: [] as unknown[],
  observed: [] as Status[],
  contexts: [] as CallContext[],
};
/** To be called before each test. */
export function forget(): void {
  Object.assign(seen, { handled: [], aborted: [], before: 0, after: [], observed: [], contexts: [] });
  records.length = 0;
}

export const records: LogRecord[] = [];
const log = new Logger((record) => records.push(record));

export const untilAborted = ({ signal }: CallContext) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve());
  });
export const refusals: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  [
    'refuse',
    new SpiffeError('PERMISSION_DENIED', 'ü 100% no\n', { details: [{ typeUrl: 'type/x', value: Buffer.of(1) }] }),
  ],
  ['half a character', new SpiffeError('ARGUMENT_INVALID', 'a \ud83d b')],
  ['stranger', new Error('a secret path')],
]);

/** The service that a call asks for says what its handler does. */
async function act({ service }: HealthCheckRequest, context: CallContext): Promise<void> {
  seen.handled.push(service);
  seen.contexts.push(context);
  const refusal = refusals.get(service);
  if (refusal !== undefined) throw refusal;
  if (!service.startsWith('wait')) return;
  await untilAborted(context);
  seen.aborted.push(service);
}

const service = bindService(HealthDefinition, {
  check: async (request, context) => {
    await act(request, context);
    return request.service === 'broken' ? ({ status: 'none' } as never) : { status: 1 };
  },
  async *watch(request, context) {
    try {
      for (let count = 0; request.service.startsWith('flood') ? count < 100_000 : count < 2; count += 1) {
        yield { status: 1 };
      }
      await act(request, context);
      yield { status: 2 };
    } finally {
      seen.aborted.push(`finally ${request.service}`);
    }
  },
});

export async function serve(
  at: string,
  services: readonly BoundService[] = [service],
  maxRequestBytes = MAX_REQUEST_BYTES,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(
    RpcServer.create({
      services,
      log,
      graceMs: 100,
      maxRequestBytes,
      interceptors: [
        {
          before: ({ metadata }) => {
            seen.before += 1;
            if (metadata.findText('refuse') !== undefined) throw new SpiffeError('UNAUTHENTICATED', 'not you');
          },
          after: (_context, error) => void seen.after.push(error instanceof SpiffeError ? error.code : error),
        },
      ],
      observe: () => (status) => void seen.observed.push(status),
    }),
  );
  stack.use(
    await listenUnix({ path: at, mode: 0o700, log, onConnection: (socket, peer) => server.accept(socket, peer) }),
  );
  return stack.move();
}

type Fields = readonly (readonly [name: string, value: string])[];

export const data = (streamId: number, bytes: Uint8Array, flags = 0) =>
  encodeFrame(FrameType.Data, flags, streamId, bytes);
export const lastData = (streamId: number, bytes: Uint8Array) => data(streamId, bytes, Flag.EndStream);
export const reset = (streamId: number) => encodeFrame(FrameType.ResetStream, 0, streamId, Buffer.of(0, 0, 0, CANCEL));
export const settings = (id: number, value: number) => {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(id);
  payload.writeUInt32BE(value, 2);
  return encodeFrame(FrameType.Settings, 0, 0, payload);
};
export const windowUpdate = (streamId: number, bytes: number) => {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return encodeFrame(0x8, 0, streamId, payload);
};

/** The headers of a call. @param replaced headers that are other, or gone, or one more. */
export function call(streamId: number, replaced: Readonly<Record<string, string | undefined>> = {}): Buffer {
  const usual: Record<string, string | undefined> = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': '/grpc.health.v1.Health/Check',
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  const fields = Object.entries({ ...usual, ...replaced });
  return headers(streamId, fields.filter((field): field is [string, string] => field[1] !== undefined) as Fields);
}
export const watch = (streamId: number, replaced = {}) =>
  call(streamId, { ':path': '/grpc.health.v1.Health/Watch', ...replaced });

/** A message's frame. */
export function frame(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}
/** A request that asks for a service. */
export function request(text: string): Buffer {
  const bytes = Buffer.from(text);
  return frame(Buffer.concat([Buffer.of(0x0a, bytes.length), bytes]));
}
/** A message of so many bytes, of a field that nobody knows. */
export function long(bytes: number): Buffer {
  const value = Buffer.alloc(bytes - 3);
  return frame(Buffer.concat([Buffer.of(0x7a, 0x80 | (value.length & 0x7f), value.length >> 7), value]));
}

export function connect(path: string): RawClient {
  const client = new RawClient(path);
  client.send(PREFACE, SETTINGS);
  return client;
}
/** What a call is answered, whether it asks for one answer or several. */
export const answersOf = (client: RawClient, streamId: number) => {
  const answers: number[] = [];
  for (let rest = client.dataOf(streamId); rest.length >= 5; ) {
    const end = 5 + rest.readUInt32BE(1);
    answers.push(HealthCheckResponse.decode(rest.subarray(5, end)).status);
    rest = rest.subarray(end);
  }
  return answers;
};
export const wasReset = (client: RawClient, streamId: number) =>
  client.receive(({ type, streamId: id }) => type === FrameType.ResetStream && id === streamId);
