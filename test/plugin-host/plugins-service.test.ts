import { expect, test } from 'vitest';
import { PluginsDefinition } from '../../src/gen/assayer/plugin/v1/plugin.ts';
import { Logger } from '../../src/log/logger.ts';
import type { PluginStatus } from '../../src/plugin-host/plugin-status.ts';
import { pluginsService } from '../../src/plugin-host/plugins-service.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type Client, createClient } from '../../src/rpc/client.ts';
import type { Peer } from '../../src/rpc/peer.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { listenUnix } from '../../src/rpc/unix-listener.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { Status } from '../../src/spiffe/status.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const startedAt = new Date('2026-01-02T03:04:05.678Z');
const running = {
  type: 'Notifier',
  name: 'a',
  builtin: false,
  pid: process.pid,
  state: 'running',
  runs: true,
} as const;
const plugins: readonly PluginStatus[] = [
  {
    ...running,
    startedAt,
    generation: 3,
    restarts: 2,
    lastError: 'its process exited with status 1',
    version: '1.2.3',
    sandbox: ['user', 'mounts'],
  },
  { ...running, name: 'b', state: 'restarting', runs: false, startedAt, generation: 1, restarts: 0 },
  { type: 'DataStore', name: 'sql', builtin: true, state: 'internal' },
];

const reloaded: string[] = [];
const reloader = {
  reload: async (name: string, type: string) => {
    if (name === 'stubborn') throw new SpiffeError('PLUGIN_NOT_LOADED', 'it exited with status 3');
    reloaded.push(`${type}/${name}`);
  },
};

async function call<Result>(
  ask: (client: Client<typeof PluginsDefinition>) => Promise<Result>,
  mayCall?: (peer: Peer) => boolean,
): Promise<Result> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTemporaryFolder());
  const log = new Logger(() => {}, 'error');
  const server = stack.use(RpcServer.create({ services: [pluginsService({ plugins, reloader }, mayCall)], log }));
  const path = folder.join('socket');
  const onConnection = server.accept.bind(server);
  stack.use(await listenUnix({ path, mode: 0o700, folderMode: 0o700, log, onConnection }));
  using channel = RpcChannel.unix(path);
  return await ask(createClient(PluginsDefinition, channel));
}

const list = async (mayCall?: (peer: Peer) => boolean) =>
  (await call((client) => client.listPlugins({}), mayCall)).plugins;

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

test('says what confines it, and its version', async () => {
  const [first, , third] = await list();
  expect(first).toMatchObject({ version: '1.2.3', sandbox: ['user', 'mounts'] });
  expect(third).toMatchObject({ version: '', sandbox: [] });
});

test('reloads by name and type, and answers how the plugin does then', async () => {
  const { plugin } = await call((client) => client.reloadPlugin({ name: 'a', type: 'Notifier' }));
  expect(plugin).toMatchObject({ name: 'a', type: 'Notifier', generation: 3 });
  expect(reloaded).toEqual(['Notifier/a']);
});

test.each([
  ['no name', '', Status.InvalidArgument, 'the name of a plugin is required'],
  ['one that cannot be reloaded', 'stubborn', Status.FailedPrecondition, 'it exited with status 3'],
])('does not reload %s, and says why', async (_what, name, status, message) => {
  await expect(call((client) => client.reloadPlugin({ name, type: '' }))).rejects.toMatchObject({ status, message });
});

test.each([
  ['list', (client: Client<typeof PluginsDefinition>) => client.listPlugins({})],
  ['reload', (client: Client<typeof PluginsDefinition>) => client.reloadPlugin({ name: 'a', type: '' })],
])('refuses whoever may not %s', async (_what, ask) => {
  reloaded.length = 0;
  await expect(call<unknown>(ask, ({ kind }) => kind !== 'unix')).rejects.toMatchObject({
    status: Status.PermissionDenied,
    message: expect.stringContaining('the user of this program and root alone'),
  });
  expect(reloaded).toEqual([]);
});
