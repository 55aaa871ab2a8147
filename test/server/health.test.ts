import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { curl } from '../harness/curl.ts';
import { eventually } from '../harness/eventually.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

// health_checks of a server (inventory C143 to C147), asked by curl.
vi.setConfig({ testTimeout: 60_000 });
const HEALTH = 'listener_enabled = true bind_address = "127.0.0.1"';
const ALL_WELL = '{"catalog.datastore":{},"catalog.plugins":{},"server":{},"server.ca":{},"server.ca.rotator":{}}\n';

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const start = async (health: string) => await TestServer.start({ folder: folder.path, health });
const ask = async (server: TestServer, path: string, ...args: string[]) =>
  await curl(`http://127.0.0.1:${server.healthPort}${path}`, ...args);

test('a server that is well says so, and what it looked at', async () => {
  await using server = await start(HEALTH);
  const well = { status: 200, contentType: 'application/json', body: ALL_WELL };
  expect(await ask(server, '/live')).toEqual(well);
  expect(await ask(server, '/ready?verbose')).toEqual(well);
  expect(await ask(server, '/ready', '--head')).toMatchObject({ status: 200, contentType: 'application/json' });
});

test('paths are those that are configured, and there is nothing else', async () => {
  await using server = await start(`${HEALTH} live_path = "/l" ready_path = "/r/ready"`);
  expect((await ask(server, '/l')).status).toBe(200);
  expect((await ask(server, '/r/ready')).status).toBe(200);
  expect(await ask(server, '/live')).toMatchObject({ status: 404, body: 'health is at /l and /r/ready\n' });
  expect((await ask(server, '/l', '--data', 'x')).status).toBe(405);
});

test('a key manager that keeps ending is named, and the CA does not sign: not ready', async () => {
  await using server = await start(HEALTH);
  await eventually(async () => {
    const [plugin] = server.running.plugins;
    if (plugin?.state === 'running' && plugin.pid !== undefined) process.kill(plugin.pid, 'SIGKILL');
    expect(plugin?.state).toBe('unhealthy');
  }, 30_000);
  const named = { unhealthy_plugins_err: 'what keeps ending and is started again: KeyManager "memory"' };
  await eventually(async () => {
    const { status, body } = await ask(server, '/ready');
    expect([status, JSON.parse(body)]).toMatchObject([500, { 'catalog.plugins': named, server: {} }]);
  });
  // The host goes on starting it: that alone is no reason to end the program.
  expect(JSON.parse((await ask(server, '/live')).body)['catalog.plugins']).toEqual({});
  expect(server.records).toContainEqual(
    expect.objectContaining({ level: 'warning', message: 'a health check failed' }),
  );
});

test('a server whose admin socket has gone is neither live nor ready', async () => {
  await using server = await start(HEALTH);
  expect((await ask(server, '/ready')).status).toBe(200);
  await rm(server.running.socketPath);
  const reason = { get_bundle_err: 'the bundle cannot be had from the admin socket: see the log' };
  await eventually(async () => {
    for (const path of ['/live', '/ready']) {
      const { status, body } = await ask(server, path);
      expect([status, JSON.parse(body).server]).toEqual([500, reason]);
    }
  });
});

test('unless it is enabled nothing listens', async () => {
  await using server = await start('bind_port = 8080');
  expect(() => server.healthPort).toThrow('no health checks are served');
});

test.each([
  ['live_path = "live"', /health_checks\.live_path: must be the path of a URL, such as "\/live"/],
  ['ready_path = "/ready?x"', /health_checks\.ready_path: must be the path of a URL/],
  ['live_path = "/h" ready_path = "/h"', /health_checks\.ready_path: must differ from live_path/],
])('%s is refused', async (setting, message) => {
  await expect(start(`${HEALTH} ${setting}`)).rejects.toThrow(message);
});
