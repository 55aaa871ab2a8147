import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ConnInfo, GRPCBrokerDefinition, GRPCStdioDefinition } from '../../src/gen/plugin/plugin.ts';
import { PermissionDeniedDetails } from '../../src/gen/spire/api/types/types.ts';
import {
  ConfigDefinition,
  ConfigureRequest,
  ConfigureResponse,
} from '../../src/gen/spire/service/common/config/v1/config.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import type { CallContext, Interceptor } from '../../src/rpc/call.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { type BoundService, bindService } from '../../src/rpc/service.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { Status } from '../../src/spiffe/status.ts';

async function serve(services: readonly BoundService[], interceptors: readonly Interceptor[] = []) {
  const folder = await mkdtemp(join(tmpdir(), 'assayer-rpc-'));
  const path = join(folder, 's');
  const records: LogRecord[] = [];
  const log = new Logger((record) => records.push(record));
  const server = RpcServer.create({ services, interceptors, log, graceMs: 100 });
  const listener = createServer((socket) => server.accept(socket, { kind: 'plugin' }));
  await new Promise<void>((resolve) => listener.listen(path, resolve));
  const channel = RpcChannel.unix(path);
  onTestFinished(async () => {
    channel[Symbol.dispose]();
    listener.close();
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });
  return { channel, records, server, path };
}

const configure = (handler: (text: string, context: CallContext) => Promise<void>) =>
  bindService(ConfigDefinition, {
    async configure({ hclConfiguration }, context) {
      await handler(hclConfiguration, context);
      return ConfigureResponse.create();
    },
  });
const request = (hclConfiguration: string) => ConfigureRequest.fromPartial({ hclConfiguration });

test('a unary call carries the message, the metadata, the method and the peer', async () => {
  const seen: unknown[] = [];
  const { channel } = await serve([
    configure(async (text, { peer, method, metadata }) => {
      seen.push(text, peer.kind, method, metadata.findText('a'), metadata.findBytes('b-bin')?.toString());
    }),
  ]);
  const client = createClient(ConfigDefinition, channel);
  await client.configure(request('x = 1'), { metadata: { a: 'one', 'b-bin': Buffer.from('two') } });
  expect(seen).toEqual(['x = 1', 'plugin', '/spire.service.common.config.v1.Config/Configure', 'one', 'two']);
});

test.each([
  ['cut within a character', `${'x'.repeat(2047)}\u{1f600}`],
  ['half a character', 'a \ud83d b'],
])('a message that is %s arrives, and the server goes on', async (_what, message) => {
  const { channel } = await serve([
    configure(async () => {
      throw new SpiffeError('ARGUMENT_INVALID', message);
    }),
  ]);
  const client = createClient(ConfigDefinition, channel);
  for (let call = 0; call < 2; call++) {
    await expect(client.configure(request(''), { deadlineMs: 5_000 })).rejects.toMatchObject({
      status: Status.InvalidArgument,
      message: expect.stringContaining('\ufffd'),
    });
  }
});

test('what goes wrong after a call is logged, and ends nothing else', async () => {
  const { channel, records } = await serve(
    [configure(async () => {})],
    [
      {
        after: () => {
          throw new Error('broken');
        },
      },
    ],
  );
  const client = createClient(ConfigDefinition, channel);
  for (let call = 0; call < 2; call++) await client.configure(request(''));
  await expect.poll(() => records.map(({ message }) => message)).toEqual(Array(2).fill('a call could not be ended'));
});

test('a deliberate error keeps its code, message and details; a stranger becomes Internal, unnamed, and is logged', async () => {
  const detail = { typeUrl: 'type.googleapis.com/x', value: PermissionDeniedDetails.encode({ reason: 1 }).finish() };
  const { channel, records } = await serve([
    configure(async (text) => {
      if (text === 'stranger') throw new Error('a secret path');
      throw new SpiffeError('PERMISSION_DENIED', 'no', { details: [{ ...detail, value: Buffer.from(detail.value) }] });
    }),
  ]);
  const client = createClient(ConfigDefinition, channel);
  const refusal = await client.configure(request('')).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(RemoteError);
  expect(refusal).toMatchObject({
    status: Status.PermissionDenied,
    message: 'no',
    details: [{ typeUrl: detail.typeUrl }],
  });
  await expect(client.configure(request('stranger'))).rejects.toMatchObject({
    status: Status.Internal,
    message: 'internal error',
  });
  expect(records.map(({ message }) => message)).toEqual(['a call failed unexpectedly']);
});

test('a method without a handler and a service that is not there answer UNIMPLEMENTED', async () => {
  const { channel } = await serve([configure(async () => {})]);
  await expect(
    createClient(ConfigDefinition, channel).validate({ coreConfiguration: undefined, hclConfiguration: '' }),
  ).rejects.toMatchObject({ status: Status.Unimplemented });
  await expect(createClient(GRPCStdioDefinition, channel).streamStdio({}).receive()).rejects.toMatchObject({
    status: Status.Unimplemented,
  });
});

test('interceptors refuse before the handler and see every end once', async () => {
  const ends: unknown[] = [];
  let handled = 0;
  const guard: Interceptor = {
    before({ metadata }) {
      if (metadata.findText('pass') === undefined) throw new SpiffeError('PERMISSION_DENIED', 'no pass');
    },
    after: (_context, error) => void ends.push(error instanceof SpiffeError ? error.code : error),
  };
  const { channel } = await serve([configure(async () => void handled++)], [guard]);
  const client = createClient(ConfigDefinition, channel);
  await expect(client.configure(request(''))).rejects.toMatchObject({ status: Status.PermissionDenied });
  await client.configure(request(''), { metadata: { pass: 'yes' } });
  expect([handled, ends]).toEqual([1, ['PERMISSION_DENIED', undefined]]);
});

test('a cancelled call and a deadline abort the handler', async () => {
  const aborted: string[] = [];
  const { channel } = await serve([
    configure(async (text, { signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      aborted.push(text);
    }),
  ]);
  const client = createClient(ConfigDefinition, channel);
  const controller = new AbortController();
  const call = client.configure(request('cancelled'), { signal: controller.signal });
  setImmediate(() => controller.abort());
  await expect(call).rejects.toMatchObject({ status: Status.Cancelled });
  await expect(client.configure(request('late'), { deadlineMs: 50 })).rejects.toMatchObject({
    status: Status.DeadlineExceeded,
  });
  await expect.poll(() => aborted.includes('late')).toBe(true);
});

test('a stream of answers respects a slow reader, ends, and is cancelled when its reader leaves', async () => {
  let written = 0;
  let ended = 0;
  const { channel } = await serve([
    bindService(GRPCStdioDefinition, {
      async *streamStdio(_request, { signal }) {
        try {
          while (!signal.aborted && written < 20_000) {
            written++;
            yield { channel: 1, data: Buffer.alloc(1_024) };
          }
        } finally {
          ended++;
        }
      },
    }),
  ]);
  const client = createClient(GRPCStdioDefinition, channel);
  let read = 0;
  for await (const { data } of client.streamStdio({})) {
    expect(data).toHaveLength(1_024);
    if (++read === 10) break;
  }
  await expect.poll(() => ended).toBe(1);
  expect(written).toBeLessThan(20_000);
  written = 19_990;
  const rest: unknown[] = [];
  for await (const message of client.streamStdio({})) rest.push(message);
  expect(rest).toHaveLength(10);
});

test('both directions of a stream: echo, half-close, an error in the middle, an early end by the server', async () => {
  const { channel } = await serve([
    bindService(GRPCBrokerDefinition, {
      async *startStream(requests) {
        for await (const message of requests) {
          if (message.serviceId === 13) throw new SpiffeError('ARGUMENT_INVALID', 'unlucky');
          if (message.serviceId === 99) return;
          yield message;
        }
        yield ConnInfo.fromPartial({ serviceId: 1_000 });
      },
    }),
  ]);
  const client = createClient(GRPCBrokerDefinition, channel);
  const info = (serviceId: number) => ConnInfo.fromPartial({ serviceId });
  await using echo = client.startStream();
  await echo.send(info(1));
  expect(await echo.receive()).toMatchObject({ serviceId: 1 });
  echo.end();
  expect(await echo.receive()).toMatchObject({ serviceId: 1_000 });
  expect(await echo.receive()).toBeUndefined();

  await using unlucky = client.startStream();
  await unlucky.send(info(13));
  await expect(unlucky.receive()).rejects.toMatchObject({ status: Status.InvalidArgument, message: 'unlucky' });

  await using early = client.startStream();
  await early.send(info(99));
  expect(await early.receive()).toBeUndefined();
});

test('disposing the server ends calls that will not end by themselves', async () => {
  const { channel, server } = await serve([
    configure(async (_text, { signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    }),
  ]);
  const call = createClient(ConfigDefinition, channel).configure(request(''));
  call.catch(() => {});
  await channel.waitForReady(1_000);
  await server[Symbol.asyncDispose]();
  await expect(call).rejects.toMatchObject({ name: 'RemoteError' });
});
