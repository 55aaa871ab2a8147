import { expect, test } from 'vitest';
import { PluginsDefinition } from '../../src/gen/assayer/plugin/v1/plugin.ts';
import { Logger } from '../../src/log/logger.ts';
import type { PluginStatus } from '../../src/plugin-host/catalog.ts';
import { pluginListService } from '../../src/plugin-host/plugin-list-service.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import type { Peer } from '../../src/rpc/peer.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { listenUnix } from '../../src/rpc/unix-listener.ts';
import { Status } from '../../src/spiffe/status.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const startedAt = new Date('2026-01-02T03:04:05.678Z');
const running = { type: 'Notifier', name: 'a', builtin: false, pid: process.pid, state: 'running' } as const;
const plugins: readonly PluginStatus[] = [
  { ...running, startedAt, generation: 3, restarts: 2, lastError: 'its process exited with status 1' },
  { ...running, name: 'b', state: 'restarting', startedAt, generation: 1, restarts: 0 },
  { type: 'DataStore', name: 'sql', builtin: true, state: 'internal' },
];

async function list(mayCall?: (peer: Peer) => boolean) {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTemporaryFolder());
  const log = new Logger(() => {}, 'error');
  const server = stack.use(RpcServer.create({ services: [pluginListService(() => plugins, mayCall)], log }));
  const path = folder.join('socket');
  const onConnection = server.accept.bind(server);
  stack.use(await listenUnix({ path, mode: 0o700, folderMode: 0o700, log, onConnection }));
  using channel = RpcChannel.unix(path);
  return (await createClient(PluginsDefinition, channel).listPlugins({})).plugins;
}

test('says how each plugin does; of a process that has ended nothing', async () => {
  const [first, second, third] = await list();
  expect(first).toMatchObject({
    name: 'a',
    pid: process.pid,
    generation: 3,
    restarts: 2,
    lastError: 'its process exited with status 1',
    startedAt: BigInt(Date.UTC(2026, 0, 2, 3, 4, 5) / 1000),
  });
  expect(first?.memoryBytes).toBeGreaterThan(1_000_000n);
  expect(second).toMatchObject({ name: 'b', state: 'restarting', pid: 0, startedAt: 0n, memoryBytes: 0n });
  expect(third).toMatchObject({ name: 'sql', builtin: true, state: 'internal', pid: 0, generation: 0 });
});

test('refuses whoever may not know', async () => {
  await expect(list(({ kind }) => kind !== 'unix')).rejects.toMatchObject({
    status: Status.PermissionDenied,
    message: expect.stringContaining('to the user of this program and to root alone'),
  });
});
