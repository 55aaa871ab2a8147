import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { MetricsDefinition } from '../../src/gen/spire/hostservice/common/metrics/v1/metrics.ts';
import { AgentStoreDefinition } from '../../src/gen/spire/hostservice/server/agentstore/v1/agentstore.ts';
import { LateHostService } from '../../src/plugin-host/late-host-service.ts';
import { Status } from '../../src/spiffe/status.ts';
import { eventually } from '../harness/eventually.ts';
import { describeWithGo } from '../harness/requires.ts';
import { goPlugin, pluginConfig, SQL, TestHost } from './go-plugins.ts';
import { isGone } from './is-gone.ts';

async function loadKeyManager(host: TestHost, deadlines = {}) {
  const keyManager = pluginConfig({ type: 'KeyManager', name: 'km', command: await goPlugin('key-manager') });
  return await host.load('server', [SQL, keyManager], { deadlines });
}

const pidOf = (catalog: { readonly plugins: readonly { readonly pid?: number }[] }): number => {
  const pid = catalog.plugins[0]?.pid;
  if (pid === undefined) throw new Error('the first plugin has no process');
  return pid;
};

describeWithGo('a plugin’s life', () => {
  test('stopping leaves neither process nor socket, and is quick with a plugin that obeys (§5)', async () => {
    const host = new TestHost();
    const catalog = await loadKeyManager(host);
    const { endpoint } = await catalog.keyManager.generateKey('k', 'ec-p256');
    const pid = pidOf(catalog);
    const started = performance.now();
    await catalog[Symbol.asyncDispose]();
    await catalog[Symbol.asyncDispose]();
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(isGone(pid)).toBe(true);
    expect(existsSync(dirname(endpoint.socketPath))).toBe(false);
    expect(host.records.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('one that is killed is reported and started again', async () => {
    const host = new TestHost();
    await using catalog = await loadKeyManager(host);
    const key = await catalog.keyManager.generateKey('k', 'ec-p256');
    const { socketPath } = key.endpoint;
    const killed = pidOf(catalog);
    process.kill(killed, 'SIGKILL');
    // The call is repeated with the next process, whose memory has no such key.
    await expect(key.signDigest(new Uint8Array(32), 'sha256')).rejects.toMatchObject({
      status: Status.NotFound,
      message: expect.stringMatching(/^keymanager\(km\): /),
    });
    expect(catalog.plugins[0]).toMatchObject({
      state: 'running',
      generation: 2,
      restarts: 1,
      lastError: 'its process was ended by SIGKILL',
    });
    expect(pidOf(catalog)).not.toBe(killed);
    expect(host.records).toContainEqual(
      expect.objectContaining({
        level: 'error',
        message: 'plugin process exited',
        fields: expect.objectContaining({ plugin_name: 'km', reason: 'was ended by SIGKILL' }),
      }),
    );
    expect((await catalog.keyManager.generateKey('k', 'ec-p256')).endpoint.socketPath).toBe(socketPath);
    expect(existsSync(socketPath)).toBe(true);
  });

  test('one that does not answer its health check is killed and started again', async () => {
    const host = new TestHost();
    await using catalog = await loadKeyManager(host, { healthIntervalMs: 100, healthMs: 200 });
    const stopped = pidOf(catalog);
    process.kill(stopped, 'SIGSTOP');
    await eventually(() => expect(catalog.plugins[0]).toMatchObject({ state: 'running', generation: 2 }));
    expect(isGone(stopped)).toBe(true);
    expect(host.records.map(({ message }) => message)).toContain(
      'plugin does not answer its health check and is killed',
    );
  });

  test('one that keeps ending is unhealthy by name, refuses at once, and recovers', async () => {
    const host = new TestHost();
    await using catalog = await loadKeyManager(host);
    for (let round = 1; round < 5; round++) {
      process.kill(pidOf(catalog), 'SIGKILL');
      await eventually(() => expect(catalog.plugins[0]).toMatchObject({ generation: round + 1 }));
    }
    process.kill(pidOf(catalog), 'SIGKILL');
    await eventually(() => expect(catalog.plugins[0]).toMatchObject({ state: 'unhealthy' }));
    await expect(catalog.keyManager.getKeys()).rejects.toMatchObject({
      code: 'PLUGIN_EXITED',
      message: 'keymanager(km): the plugin is not running: its process was ended by SIGKILL',
    });
    await eventually(async () => expect(await catalog.keyManager.getKeys()).toEqual([]));
  });

  test('one that hangs is killed after its grace', async () => {
    const catalog = await loadKeyManager(new TestHost(), { deinitMs: 200, graceMs: 200 });
    const pid = pidOf(catalog);
    process.kill(pid, 'SIGSTOP');
    await catalog[Symbol.asyncDispose]();
    expect(isGone(pid)).toBe(true);
  });

  test('host services that are wired late refuse in Configure, and answer afterwards (§6)', async () => {
    const agentStore = new LateHostService(AgentStoreDefinition);
    const hostServices = [agentStore.service, ...new TestHost().hostServices.slice(1)];
    const load = async (text: string) =>
      await new TestHost().load(
        'server',
        [
          SQL,
          pluginConfig({ type: 'KeyManager', name: 'km', command: await goPlugin('key-manager') }),
          pluginConfig({
            type: 'NodeAttestor',
            name: 'na',
            command: await goPlugin('server-node-attestor'),
            data: { text },
          }),
        ],
        { hostServices },
      );
    await expect(load('ask_early = true')).rejects.toThrow(/AgentStore answers once every plugin is configured/);

    await using catalog = await load('');
    agentStore.wire({ getAgentInfo: async ({ agentId }) => ({ info: { agentId } }) });
    const attestor = catalog.findServerNodeAttestor('na');
    const answer = await attestor?.attest(
      Buffer.from('n'),
      async (challenge) =>
        new Uint8Array(await crypto.subtle.digest('SHA-256', Buffer.concat([challenge, Buffer.from('n')]))),
      { csrPublicKey: Buffer.of(1), signal: new AbortController().signal },
    );
    expect(answer?.selectors).toContainEqual({ type: 'na', value: 'agent-store:OK' });
  });

  test('a plugin that needs a host service which is not offered does not load', async () => {
    const plugins = [
      SQL,
      pluginConfig({ type: 'KeyManager', name: 'km', command: await goPlugin('key-manager') }),
      pluginConfig({ type: 'NodeAttestor', name: 'na', command: await goPlugin('server-node-attestor') }),
    ];
    const hostServices = [new LateHostService(MetricsDefinition).service];
    await expect(new TestHost().load('server', plugins, { hostServices })).rejects.toThrow(
      /failed to load plugin "na": .*the agent store is needed/,
    );
  });

  test('a plugin of the other side says so', async () => {
    const command = await goPlugin('key-manager');
    const config = pluginConfig({ type: 'KeyManager', name: 'km', command, args: ['agent'] });
    await expect(new TestHost().load('server', [SQL, config])).rejects.toThrow(
      /the server needs "spire.plugin.server.keymanager.v1.KeyManager", the plugin serves "spire.plugin.agent.keymanager.v1.KeyManager"/,
    );
  });

  test('a plugin of another type says so on stderr, and that is in the message (§1)', async () => {
    const config = pluginConfig({ type: 'KeyManager', name: 'km', command: await goPlugin('workload-attestor') });
    await expect(new TestHost().load('server', [SQL, config])).rejects.toThrow(
      /failed to load plugin "km": it exited with status 1 before its handshake; its last words on stderr: .*plugin/,
    );
  });

  test('a host that ends without stopping its plugins takes them along', async () => {
    const program = fileURLToPath(new URL('careless-host.ts', import.meta.url));
    const host = spawn(process.execPath, [program, await goPlugin('key-manager')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [output] = await once(host.stdout, 'data');
    await once(host, 'exit');
    const { pid, socketPath } = JSON.parse(String(output));
    expect(pid).toBeGreaterThan(1);
    await eventually(() => expect(isGone(pid)).toBe(true));
    expect(existsSync(dirname(socketPath))).toBe(false);
  });
});
