import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, lchown, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PluginConfig } from '../../src/config/plugins.ts';
import { AttachedPlugin } from '../../src/plugin-host/attached-plugin.ts';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import { handshakeEnvironment, type PluginType } from '../../src/rpc/go-plugin.ts';
import { parseHandshake } from '../../src/rpc/handshake.ts';
import { builtPlugin } from '../harness/built-programs.ts';
import { eventually } from '../harness/eventually.ts';
import { describeWithGo } from '../harness/requires.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { goPlugin, JOIN_TOKEN, pluginConfig, SQL, TestHost } from './go-plugins.ts';
import { isGone } from './is-gone.ts';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const signal = new AbortController().signal;

let folder: TemporaryFolder;
let resources: AsyncDisposableStack;
beforeEach(async () => {
  resources = new AsyncDisposableStack();
  folder = resources.use(await createTemporaryFolder());
});
afterEach(() => resources.disposeAsync());

/** A plugin that the test starts, as a container or a debugger would. */
class RunningPlugin implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly handshake: string;

  private constructor(child: ChildProcess, handshake: string) {
    this.#child = child;
    this.handshake = handshake;
  }

  static async start(
    type: PluginType,
    command: readonly [string, ...string[]],
    environment: Readonly<Record<string, string>>,
  ): Promise<RunningPlugin> {
    const [file, ...args] = command;
    const child = spawn(file, args, {
      env: { PATH: process.env.PATH ?? '', ...handshakeEnvironment(type), ...environment },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [line] = await Promise.race([
      once(createInterface({ input: child.stdout }), 'line'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`the plugin exited with ${code}`))),
    ]);
    return new RunningPlugin(child, String(line));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

const startAttestor = async (socket: string, environment: Readonly<Record<string, string>> = {}) =>
  resources.use(
    await RunningPlugin.start('NodeAttestor', [process.execPath, source('sdk-attestor.ts')], {
      ASSAYER_PLUGIN_SOCKET: socket,
      ...environment,
    }),
  );

const startAsUser = async (user: number, socket: string) =>
  resources.use(
    await RunningPlugin.start(
      'NodeAttestor',
      ['setpriv', `--reuid=${user}`, '--clear-groups', process.execPath, source('sdk-attestor.ts')],
      { ASSAYER_PLUGIN_SOCKET: socket },
    ),
  );

const KEY_MANAGER = pluginConfig({
  type: 'KeyManager',
  name: 'memory',
  command: process.execPath,
  args: [builtPlugin('server', 'memory')],
});

const attestorAt = (attach: string): PluginConfig => pluginConfig({ type: 'NodeAttestor', name: 'sdk', attach });
const atSocket = (path: string) => attestorAt(`1|1|unix|${path}|grpc|`);

const load = async (host: TestHost, plugin: PluginConfig): Promise<PluginCatalog> =>
  resources.use(await host.load('server', [SQL, KEY_MANAGER, plugin]));

async function attest(catalog: PluginCatalog, name = 'node') {
  const attestor = catalog.findServerNodeAttestor('sdk');
  if (attestor === undefined) throw new Error('no attestor');
  return await attestor.attest(Buffer.from(name), async () => Buffer.from('me'), {
    csrPublicKey: new Uint8Array([1]),
    signal,
  });
}

const statusOf = (catalog: PluginCatalog) => catalog.plugins.find(({ name }) => name === 'sdk');

describe('a plugin of ours that runs already', () => {
  test('is used, host services included, and goes on when its host ends', async () => {
    const socket = folder.join('plugin.sock');
    const plugin = await startAttestor(socket);
    expect(plugin.handshake).toBe(`1|1|unix|${socket}|grpc|`);
    const host = new TestHost();
    host.knownAgents.add('spiffe://example.org/node');
    const catalog = await load(host, atSocket(socket));
    expect(statusOf(catalog)).toMatchObject({ pid: plugin.pid, state: 'running', builtin: false, sandbox: [] });
    expect(await attest(catalog)).toMatchObject({ spiffeId: 'spiffe://example.org/spire/agent/sdk/node' });
    expect(host.metrics).toEqual(['sdk.attested']);
    await catalog[Symbol.asyncDispose]();
    expect(isGone(plugin.pid)).toBe(false);
    // The next host finds it there, and is the one whose services it uses.
    const next = new TestHost();
    next.knownAgents.add('spiffe://example.org/node');
    await attest(await load(next, atSocket(socket)));
    expect(next.metrics).toEqual(['sdk.attested']);
    expect(host.metrics).toEqual(['sdk.attested']);
  });

  test('that ends is attached to again once somebody has started it', async () => {
    const socket = folder.join('plugin.sock');
    const plugin = await startAttestor(socket);
    const host = new TestHost();
    host.knownAgents.add('spiffe://example.org/node');
    const catalog = await load(host, atSocket(socket));
    await plugin[Symbol.asyncDispose]();
    await eventually(() => expect(statusOf(catalog)?.state).not.toBe('running'));
    expect(statusOf(catalog)?.lastError).toMatch(/the connection to it was lost|no plugin answers/);
    const again = await startAttestor(socket);
    // The longer nobody was there the longer are the pauses, and a plugin that is unhealthy is not waited for.
    await eventually(() => expect(statusOf(catalog)?.generation).toBe(2), 25_000);
    expect(await attest(catalog)).toMatchObject({ canReattest: false });
    expect(statusOf(catalog)).toMatchObject({ pid: again.pid, generation: 2 });
  });

  test('a stopped plugin is let go, and found again', async () => {
    const socket = folder.join('plugin.sock');
    const plugin = await startAttestor(socket);
    const host = new TestHost();
    host.knownAgents.add('spiffe://example.org/node');
    const deadlines = { healthIntervalMs: 100, healthMs: 200, connectMs: 500 };
    const catalog = resources.use(await host.load('server', [SQL, KEY_MANAGER, atSocket(socket)], { deadlines }));
    process.kill(plugin.pid, 'SIGSTOP');
    await eventually(() => expect(statusOf(catalog)?.state).not.toBe('running'));
    process.kill(plugin.pid, 'SIGCONT');
    await eventually(() => expect(statusOf(catalog)?.generation).toBe(2), 25_000);
    expect(await attest(catalog)).toMatchObject({ canReattest: false });
    expect(isGone(plugin.pid)).toBe(false);
  });

  test('does not take the socket of another that runs', async () => {
    const socket = folder.join('plugin.sock');
    await startAttestor(socket);
    await expect(startAttestor(socket)).rejects.toThrow('the plugin exited with 1');
  });

  test('of another kind is refused, with what it is', async () => {
    const socket = folder.join('plugin.sock');
    await startAttestor(socket);
    const notifier = pluginConfig({ type: 'Notifier', name: 'sdk', attach: `1|1|unix|${socket}|grpc|` });
    await expect(load(new TestHost(), notifier)).rejects.toThrow(/configure it as NodeAttestor/);
  });
});

describe('a socket that is not trusted', () => {
  test('is none where nobody listens', async () => {
    const socket = folder.join('plugin.sock');
    await expect(load(new TestHost(), atSocket(socket))).rejects.toThrow(/is not there: start the plugin first/);
    await writeFile(socket, '');
    await expect(load(new TestHost(), atSocket(socket))).rejects.toThrow(/is not a socket/);
  });

  test('of a plugin that has ended is none either', async () => {
    const socket = folder.join('plugin.sock');
    const plugin = await startAttestor(socket);
    await plugin[Symbol.asyncDispose]();
    await expect(load(new TestHost(), atSocket(socket))).rejects.toThrow(/no plugin answers at .*ECONNREFUSED/);
  });

  test('lies in a folder that others may write', async () => {
    const open = folder.join('open');
    await mkdir(open);
    await chmod(open, 0o777);
    const socket = `${open}/plugin.sock`;
    await startAttestor(socket);
    await expect(load(new TestHost(), atSocket(socket))).rejects.toThrow(/which others may write.*chmod go-w/);
  });

  test.runIf(process.geteuid?.() === 0)('is served by a user who is nobody here', async () => {
    const other = 54_321;
    const common = folder.join('common');
    await mkdir(common, { mode: 0o755 });
    await chmod(folder.path, 0o755);
    // The folder is root's and sticky, as /tmp is; the socket is another user's.
    await chmod(common, 0o1777);
    const socket = `${common}/plugin.sock`;
    await startAsUser(other, socket);
    await expect(load(new TestHost(), atSocket(socket))).rejects.toThrow(/belongs to user 54321/);
  });

  test.runIf(process.geteuid?.() === 0).each([
    ['a link to the socket', (common: string) => `${common}/plugin.sock`, 'plugin.sock'],
    ['a link to its folder', (common: string) => `${common}/plugin.sock/plugin.sock`, ''],
  ])('is where %s leads that another user made', async (_what, configured, target) => {
    const other = 54_321;
    const [common, own] = [await mkdtemp('/tmp/attach-'), await mkdtemp('/tmp/attach-')];
    for (const made of [common, own]) resources.defer(() => rm(made, { recursive: true, force: true }));
    await chown(own, other, other);
    // As /tmp is: whoever wants to may make a link there.
    await chmod(common, 0o1777);
    await startAsUser(other, `${own}/plugin.sock`);
    await symlink(`${own}/${target}`, `${common}/plugin.sock`);
    await lchown(`${common}/plugin.sock`, other, other);
    await expect(load(new TestHost(), atSocket(configured(common)))).rejects.toThrow(
      /by way of the link ".*plugin\.sock" of user 54321/,
    );
  });

  test('is not where a link comes to lead later', async () => {
    const [socket, link] = [folder.join('plugin.sock'), folder.join('link.sock')];
    await startAttestor(socket);
    await symlink(socket, link);
    const found = await AttachedPlugin.find(parseHandshake(`1|1|unix|${link}|grpc|`), 1_000);
    expect(found.handshake.address).toBe(await realpath(link));
  });

  test.runIf(process.geteuid?.() === 0)(
    'in a folder of the plugin’s own user is trusted, and host services reach it',
    async () => {
      const other = 54_321;
      const own = await mkdtemp('/tmp/attach-');
      resources.defer(() => rm(own, { recursive: true, force: true }));
      await chown(own, other, other);
      const socket = `${own}/plugin.sock`;
      await startAsUser(other, socket);
      const host = new TestHost();
      host.knownAgents.add('spiffe://example.org/node');
      const catalog = await load(host, atSocket(socket));
      await attest(catalog);
      expect(host.metrics).toEqual(['sdk.attested']);
    },
  );
});

describeWithGo('a Go plugin that runs already', () => {
  test.each(['1.4.0', '1.8.0'] as const)('is used by its handshake line (go-plugin %s)', async (version) => {
    const command = await goPlugin('workload-attestor', version);
    const plugin = resources.use(
      await RunningPlugin.start('WorkloadAttestor', [command], {
        TMPDIR: folder.path,
        PLUGIN_UNIX_SOCKET_DIR: folder.path,
      }),
    );
    const attestor = pluginConfig({ type: 'WorkloadAttestor', name: 'go', attach: plugin.handshake });
    const keyManager = {
      ...KEY_MANAGER,
      args: [builtPlugin('agent', 'memory')],
    };
    for (const _round of ['first host', 'second host']) {
      await using catalog = await new TestHost().load('agent', [JOIN_TOKEN, keyManager, attestor]);
      const [loaded] = catalog.workloadAttestors;
      expect(await loaded?.attest(process.pid, signal)).toEqual(
        expect.arrayContaining([expect.objectContaining({ type: 'go' })]),
      );
    }
    expect(isGone(plugin.pid)).toBe(false);
  });
});
