import { copyFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MYSELF, TestDomain } from '../agent/test-domain.ts';
import { TestProcess } from '../harness/child-process.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { diskKeys, type TestAgent } from '../harness/running-agent.ts';

/** Of workloads: the agent's own outlives a restart of the server. */
const SHORT_LIVES = 'agent_ttl = "1h"\n  default_x509_svid_ttl = "8s"';
const MODULE = fileURLToPath(new URL('./workload-api', import.meta.url));

describeWithGo('go-spiffe 2.9.0 as a workload', () => {
  const resources = new AsyncDisposableStack();
  let domain: TestDomain;
  let agent: TestAgent;

  beforeAll(async () => {
    domain = resources.use(await TestDomain.start({ settings: SHORT_LIVES, keysOnDisk: true }));
    const executable = await buildGo(MODULE, 'workload');
    for (const name of ['any', 'client', 'server', 'late']) {
      await copyFile(executable, domain.folder.join(name));
      const selectors = [MYSELF, { type: 'unix', value: `path:${domain.folder.join(name)}` }];
      await domain.createEntry(`/${name}`, {
        selectors,
        hint: name,
        additionalAttributes: { disableX509SvidPrefetch: name === 'late' },
      });
    }
    const folder = domain.folder.join('agent');
    agent = resources.use(
      await domain.startAgent('agent', {
        plugins: `${diskKeys(folder)}
  NodeAttestor "join_token" {}
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }`,
      }),
    );
  });
  afterAll(() => resources.disposeAsync());

  async function start(program: string, ...args: readonly string[]): Promise<TestProcess> {
    const socket = `SPIFFE_ENDPOINT_SOCKET=unix://${agent.running.socketPath}`;
    return await TestProcess.start('/usr/bin/env', [socket, domain.folder.join(program), ...args]);
  }

  async function readJson(running: TestProcess): Promise<Record<string, unknown> | undefined> {
    const line = await running.readLine();
    return line === undefined ? undefined : JSON.parse(line);
  }

  test('fetches identities and bundles that verify', async () => {
    await using workload = await start('any', 'fetch');
    expect(await readJson(workload)).toEqual({
      identities: [expect.objectContaining({ id: 'spiffe://example.org/any', hint: 'any' })],
      authorities: { 'example.org': [1, 1] },
    });
  });

  test('watches through rotations', async () => {
    await using workload = await start('any', 'watch');
    const serials = new Set<string>();
    for (let update = 0; update < 3; update++) {
      const line = await readJson(workload);
      expect(line).toEqual({ identities: [expect.objectContaining({ id: 'spiffe://example.org/any' })] });
      serials.add(JSON.stringify(line));
    }
    expect(serials.size).toBe(3);
  }, 60_000);

  test('gets a token that the agent and go-spiffe itself take, for its audience alone', async () => {
    await using workload = await start('any', 'jwt', 'db');
    expect(await readJson(workload)).toEqual({
      agent: 'spiffe://example.org/any',
      self: 'spiffe://example.org/any',
      audience: ['db', 'extra'],
      refusal: expect.stringContaining('audience'),
    });
  });

  test('two workloads talk over mTLS, each sure of the other', async () => {
    await using server = await start('server', 'serve', 'spiffe://example.org/client');
    const address = String((await readJson(server))?.address);
    await using client = await start('client', 'dial', address, 'spiffe://example.org/server');
    expect(await readJson(client)).toEqual({ greeting: 'hello spiffe://example.org/client' });
    expect(await readJson(server)).toEqual({ peer: 'spiffe://example.org/client' });

    await using stranger = await start('any', 'dial', address, 'spiffe://example.org/server');
    expect(await readJson(stranger)).toBeUndefined();
    expect(await readJson(server)).toEqual({ error: expect.stringContaining('unexpected ID') });
  });

  test('that comes while the server is away is told so, asks again by itself, and gets its identity once the server is back', async () => {
    const { port } = domain;
    await domain.stopServer();
    await using workload = await start('late', 'watch');
    const refusal = expect.stringMatching(
      new RegExp(
        `code = Unavailable desc = no X.509-SVID of spiffe://example.org/late is there that is valid, and since \\S+ none can be had from the server at 127.0.0.1 port ${port}: .* does not answer`,
      ),
    );
    expect(await readJson(workload)).toEqual({ error: refusal });
    await domain.startServer({ settings: SHORT_LIVES, port });
    let line = await readJson(workload);
    for (; line?.error !== undefined; line = await readJson(workload)) expect(line).toEqual({ error: refusal });
    expect(line).toEqual({ identities: [expect.objectContaining({ id: 'spiffe://example.org/late' })] });
  }, 60_000);
});
