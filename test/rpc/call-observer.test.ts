import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { GRPCBrokerDefinition, GRPCStdioDefinition } from '../../src/gen/plugin/plugin.ts';
import {
  ConfigDefinition,
  ConfigureRequest,
  ConfigureResponse,
} from '../../src/gen/spire/service/common/config/v1/config.ts';
import { Logger } from '../../src/log/logger.ts';
import type { ObserveCalls } from '../../src/rpc/call-observer.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { bindService } from '../../src/rpc/service.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { Status } from '../../src/spiffe/status.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const until = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));

const services = [
  bindService(ConfigDefinition, {
    configure: async ({ hclConfiguration }, { signal }) => {
      if (hclConfiguration === 'refuse') throw new SpiffeError('PERMISSION_DENIED', 'no');
      if (hclConfiguration === 'stranger') throw new Error('unnamed');
      if (hclConfiguration === 'wait') await until(signal);
      return ConfigureResponse.create();
    },
  }),
  bindService(GRPCStdioDefinition, {
    async *streamStdio() {
      yield { channel: 1, data: new Uint8Array(1) };
      throw new SpiffeError('ENTRY_NOT_FOUND', 'no more');
    },
  }),
  bindService(GRPCBrokerDefinition, {
    async *startStream(requests) {
      for await (const request of requests) yield request;
    },
  }),
];

/** What both ends of a connection are told, in turn: method and status. */
async function connect(open: (path: string) => RpcChannel) {
  const folder = await createTemporaryFolder();
  const told = { server: [] as string[], client: [] as string[] };
  const observe =
    (side: 'server' | 'client'): ObserveCalls =>
    (path) =>
    (status, elapsedMs) => {
      if (!(elapsedMs >= 0 && elapsedMs < 20_000)) throw new Error(`it took ${elapsedMs} ms`);
      told[side].push(`${path} ${status}`);
    };
  const log = new Logger(() => {});
  const server = RpcServer.create({ services, log, graceMs: 100, observe: observe('server') });
  const listener = createServer((socket) => server.accept(socket, { kind: 'plugin' }));
  await new Promise<void>((resolve) => listener.listen(folder.join('s'), resolve));
  const channel = open(folder.join('s'));
  onTestFinished(async () => {
    channel[Symbol.dispose]();
    listener.close();
    await server[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });
  return { told, channel, observe: observe('client') };
}

const ways = [
  ['grpc-js', (path: string) => RpcChannel.unix(path)],
  ['the connection for many calls', (path: string) => RpcChannel.unixForManyCalls(path)],
] as const;

test.each(ways)('both ends are told of every unary call, once, with its status: %s', async (_what, open) => {
  const { told, channel, observe } = await connect(open);
  const client = createClient(ConfigDefinition, channel, observe);
  const call = async (text: string, options = {}) =>
    await client.configure(ConfigureRequest.fromPartial({ hclConfiguration: text }), options).catch(() => {});
  await call('well');
  await call('refuse');
  await call('stranger');
  await call('wait', { deadlineMs: 100 });
  await call('wait', { signal: AbortSignal.timeout(100) });
  await client.validate({ coreConfiguration: undefined, hclConfiguration: '' }).catch(() => {});
  const configure = '/spire.service.common.config.v1.Config/Configure';
  const { Ok, PermissionDenied, Internal, DeadlineExceeded, Cancelled, Unimplemented } = Status;
  const seen = [Ok, PermissionDenied, Internal, DeadlineExceeded, Cancelled].map((status) => `${configure} ${status}`);
  expect(told.client).toEqual([...seen, `/spire.service.common.config.v1.Config/Validate ${Unimplemented}`]);
  // The handler ended well each time that its caller had gone; nobody serves Validate.
  const ends = [Ok, PermissionDenied, Internal, Ok, Ok].map((status) => `${configure} ${status}`);
  await expect.poll(() => told.server).toEqual(ends);
});

test('both ends are told of streams when they end', async () => {
  const { told, channel, observe } = await connect((path) => RpcChannel.unix(path));
  const stdio = createClient(GRPCStdioDefinition, channel, observe).streamStdio({});
  await stdio.receive();
  await expect(stdio.receive()).rejects.toMatchObject({ status: Status.NotFound });
  await using broker = createClient(GRPCBrokerDefinition, channel, observe).startStream();
  await broker.send({ serviceId: 1, network: '', address: '', knock: undefined });
  await broker.receive();
  const streamed = [`/plugin.GRPCStdio/StreamStdio ${Status.NotFound}`];
  await expect.poll(() => [told.client, told.server]).toEqual([streamed, streamed]);
  broker.end();
  expect(await broker.receive()).toBeUndefined();
  const all = [...streamed, `/plugin.GRPCBroker/StartStream ${Status.Ok}`];
  await expect.poll(() => [told.client, told.server]).toEqual([all, all]);
});
