import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatPlugin } from '../../src/cli/list-plugins.ts';
import { PluginState } from '../../src/gen/assayer/plugin/v1/plugin.ts';
import { isOwnUser } from '../../src/plugin-host/plugins-service.ts';
import type { Peer } from '../../src/rpc/peer.ts';
import { ASSAYER } from '../harness/built-programs.ts';
import { eventually } from '../harness/eventually.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { AgentProcess } from './agent-process.ts';
import { runCli } from './run-cli.ts';
import { ServerProcess } from './server-process.ts';

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let server: ServerProcess;
let agent: AgentProcess;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  server = resources.use(await ServerProcess.start({ folder: folder.path }));
  agent = resources.use(await AgentProcess.start({ folder: folder.path, server }));
});
afterAll(() => resources.disposeAsync());

const MEMORY_LINES = [
  'Name        : memory',
  'Kind        : KeyManager',
  'Built in    : true',
  String.raw`Version     : \d+\.\d+\.\d+`,
  'State       : running',
  'Generation  : 1',
  'Restarts    : 0',
  String.raw`Process     : \d+`,
  String.raw`Uptime      : (\d+m)?\d+s`,
  String.raw`Memory      : \d+\.\d MB`,
  'Sandbox     : .*no-new-privileges.*',
];

describe('server plugin list', () => {
  test('prints every plugin, and what is part of the program', async () => {
    const { code, stdout, stderr } = await server.run(['plugin', 'list']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Found 3 plugins:\n\n${MEMORY_LINES.join('\n')}\n\n`));
    expect(stdout).toContain(
      'Name        : join_token\nKind        : NodeAttestor\nBuilt in    : true\nState       : internal\n\n',
    );
  });

  test('tells of a process that was killed, and of the next one', async () => {
    const before = await memoryPlugin();
    expect(before).toMatchObject({ generation: 1, restarts: 0, last_error: '' });
    process.kill(before.pid, 'SIGKILL');
    await eventually(async () => expect(await memoryPlugin()).toMatchObject({ restarts: 1, state: 'running' }));
    const after = await memoryPlugin();
    expect(after).toMatchObject({ generation: 2, last_error: 'its process was ended by SIGKILL' });
    expect(after.pid).not.toBe(before.pid);
    expect(Number(after.memory_bytes)).toBeGreaterThan(1_000_000);
  });
});

describe('agent plugin list', () => {
  test('prints them to the agent’s own user', async () => {
    const { code, stdout, stderr } = await agent.run(['plugin', 'list', '-output', 'json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      plugins: [
        { name: 'memory', type: 'KeyManager', state: 'running', builtin: true },
        { name: 'unix', type: 'WorkloadAttestor', state: 'running', builtin: true },
        { name: 'join_token', type: 'NodeAttestor', state: 'internal', pid: 0, memory_bytes: '0' },
      ],
    });
  });

  test('says where no agent is', async () => {
    const path = folder.join('nobody');
    const { code, stderr } = await runCli(['agent', 'plugin', 'list', '-socketPath', path]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `Error: cannot reach the agent at ${path}: there is no such socket; start it, or name its socket with -socketPath\n`,
    });
  });
});

describe('who may list the plugins of an agent', () => {
  const peer = (uid: number, isUnchanged = true, pid = process.pid): Peer => ({
    kind: 'unix',
    pid,
    uid,
    gid: uid,
    startTimeTicks: 0,
    isAlive: () => true,
    isUnchanged: () => isUnchanged,
    [Symbol.dispose]: () => undefined,
  });
  const own = process.geteuid?.() ?? 0;
  test.each([
    ['its own user', peer(own), true],
    ['root', peer(0), true],
    ['another user', peer(own + 4_242), false],
    ['a process that became another program', peer(own, false), false],
    ['one of which nothing can be told', peer(own, true, 2 ** 22 + 1), false],
    ['a peer over TLS', { kind: 'tls', address: '127.0.0.1', port: 1, certificates: [] } as const, false],
  ])('%s', (_who, caller, allowed) => {
    expect(isOwnUser(caller)).toBe(allowed);
  });
});

test.each(['--pid', '--user'])(
  'root of a container, which a %s namespace makes, is not answered',
  async (namespace) => {
    const { status, stderr } = spawnSync(
      'unshare',
      [namespace, '--fork', ...(namespace === '--user' ? ['--map-root-user'] : []), process.execPath, ASSAYER].concat([
        'agent',
        'plugin',
        'list',
        '-socketPath',
        agent.socketPath,
      ]),
      { encoding: 'utf8', timeout: 30_000 },
    );
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'Error: plugins are listed to, and reloaded for, the user of this program and root alone\n',
    });
  },
);

test('a plugin that is being restarted is shown with why', () => {
  const state = PluginState.create({
    name: 'x',
    type: 'Notifier',
    state: 'unhealthy',
    generation: 4,
    restarts: 3,
    lastError: 'its process exited with status 1',
  });
  expect(formatPlugin(state, new Date(0))).toBe(
    [
      'Name        : x',
      'Kind        : Notifier',
      'Built in    : false',
      'State       : unhealthy',
      'Generation  : 4',
      'Restarts    : 3',
      'Last error  : its process exited with status 1',
      '\n',
    ].join('\n'),
  );
});

async function memoryPlugin() {
  const { json } = await server.runJson(['plugin', 'list']);
  return json.plugins[0];
}
