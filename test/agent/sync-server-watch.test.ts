import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ServerWatch } from '../../src/agent/sync/server-watch.ts';
import { type WatchChangesResponse, WatchDefinition } from '../../src/gen/assayer/server/watch/v1/watch.ts';
import { HealthDefinition } from '../../src/gen/grpc/health/v1/health.ts';
import { Logger } from '../../src/log/logger.ts';
import type { CallContext } from '../../src/rpc/call.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { type BoundService, bindService } from '../../src/rpc/service.ts';
import { listenUnix } from '../../src/rpc/unix-listener.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const log = new Logger(() => {}, 'error');
let resources: AsyncDisposableStack;
let changes: number;
let told: (readonly string[] | undefined)[];
let losses: number;

beforeEach(() => {
  resources = new AsyncDisposableStack();
  changes = 0;
  told = [];
  losses = 0;
});
afterEach(() => resources.disposeAsync());

/** An agent's watch of a server that answers as `service` does. @returns what has it go over another connection */
async function watch(service: BoundService): Promise<{ readonly watch: ServerWatch; reconnect(): void }> {
  const folder = resources.use(await createTemporaryFolder());
  const server = resources.use(RpcServer.create({ services: [service], log, graceMs: 10 }));
  const path = folder.join('server.sock');
  resources.use(
    await listenUnix({
      path,
      mode: 0o700,
      folderMode: 0o700,
      log,
      onConnection: (socket, peer) => server.accept(socket, peer),
    }),
  );
  const channel = resources.adopt(RpcChannel.unix(path), (opened) => opened[Symbol.dispose]());
  let retired = new AbortController();
  const serverWatch = resources.use(
    new ServerWatch({
      connection: {
        run: async (call) => await call({ watch: createClient(WatchDefinition, channel) } as never, retired.signal),
      },
      onChange: ({ entryIds }) => {
        changes += 1;
        told.push(entryIds);
      },
      onLost: () => {
        losses += 1;
      },
      log,
    }),
  );
  serverWatch.start();
  return {
    watch: serverWatch,
    reconnect() {
      retired.abort();
      retired = new AbortController();
    },
  };
}

type Answers = (call: number, context: CallContext) => AsyncGenerator<WatchChangesResponse>;

function answering(answers: Answers): { readonly service: BoundService; readonly calls: readonly number[] } {
  const calls: number[] = [];
  const service = bindService(WatchDefinition, {
    watchChanges: (_request, context) => answers(calls.push(performance.now()), context),
  });
  return { service, calls };
}

const answer = (sequence: bigint, more: Partial<WatchChangesResponse> = {}): WatchChangesResponse => ({
  sequence,
  entries: false,
  bundles: false,
  entryRevision: 0n,
  entryIds: [],
  heartbeatSeconds: 30,
  ...more,
});
const until = (context: CallContext) =>
  new Promise<void>((resolve) => context.signal.addEventListener('abort', () => resolve()));
const WAIT = { timeout: 30_000, interval: 10 };

describe('an agent that listens to its server', () => {
  test('syncs after the first answer, and after those that say what changed', async () => {
    const { service } = answering(async function* (_call, context) {
      yield answer(1n);
      yield answer(2n); // a sign of life
      yield answer(3n, { entries: true });
      yield answer(4n, { bundles: true });
      yield answer(5n, { entries: true, entryIds: ['a', 'b'] });
      yield answer(6n, { entries: true, bundles: true, entryIds: ['a'] });
      await until(context);
    });
    const watching = await watch(service);
    await expect.poll(() => changes, WAIT).toBe(5);
    expect(told).toEqual([undefined, undefined, undefined, ['a', 'b'], undefined]);
    expect(watching.watch.isWatching).toBe(true);
    expect(losses).toBe(0);
  });

  test('asks as before where the server has no such service', async () => {
    const watching = await watch(bindService(HealthDefinition, { check: async () => ({ status: 1 }) }));
    const other = answering(async function* () {
      yield answer(1n);
      throw new SpiffeError('UNIMPLEMENTED', 'not here');
    });
    const second = await watch(other.service);
    await expect.poll(() => losses, WAIT).toBe(1);
    expect([watching.watch.isWatching, second.watch.isWatching]).toEqual([false, false]);
    expect(other.calls).toHaveLength(1); // and is left alone for minutes
  });

  test('comes back after the stream has ended, a little later each time', async () => {
    const { service, calls } = answering(async function* (call) {
      if (call < 3) throw new SpiffeError('SERVER_UNREACHABLE', 'the server is stopping');
      yield answer(1n);
    });
    await watch(service);
    await expect.poll(() => calls.length, WAIT).toBe(3);
    const [first = 0, second = 0, third = 0] = calls;
    expect(second - first).toBeGreaterThan(200);
    expect(third - second).toBeGreaterThan(400);
    await expect.poll(() => losses, WAIT).toBe(1);
  });

  test('goes over the connection that has taken the place of the one before, at once', async () => {
    const { service, calls } = answering(async function* (_call, context) {
      yield answer(1n);
      await until(context);
    });
    const watching = await watch(service);
    await expect.poll(() => changes, WAIT).toBe(1);
    watching.reconnect();
    await expect.poll(() => changes, WAIT).toBe(2);
    expect(calls).toHaveLength(2);
  });

  test('gives up a stream on which nothing comes for twice as long as was promised', async () => {
    const { service, calls } = answering(async function* (_call, context) {
      yield answer(1n, { heartbeatSeconds: 1 }); // five seconds are the least that it waits
      await until(context);
    });
    await watch(service);
    await expect.poll(() => losses, WAIT).toBe(1);
    await expect.poll(() => calls.length, WAIT).toBe(2);
    const [first = 0, second = 0] = calls;
    expect(second - first).toBeGreaterThan(5_000);
  });
});
