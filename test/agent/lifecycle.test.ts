import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import type { SpiffeError } from '../../src/spiffe/error.ts';
import { pathOf } from '../../src/spiffe/spiffe-id.ts';
import { describeWithGo } from '../harness/requires.ts';
import { diskKeys, type TestAgent } from '../harness/running-agent.ts';
import { goPlugin } from '../plugin-host/go-plugins.ts';
import { TestDomain } from './test-domain.ts';
import { AS_WORKLOAD, fetchIds, fetchX509, workloadApi } from './workload.ts';

vi.setConfig({ testTimeout: 90_000 }); // most tests start several programs

/** A server whose key and port outlive it. */
const DISK_SERVER = (folder: string) =>
  `KeyManager "disk" { plugin_data { keys_path = "${folder}/data/server-keys.json" } }\n  NodeAttestor "join_token" {}`;
const WAIT = { timeout: 30_000, interval: 100 };

const endOf = async (agent: TestAgent): Promise<SpiffeError> =>
  await agent.running.ended.then(
    () => expect.unreachable('the agent goes on'),
    (error: SpiffeError) => error,
  );

test('the SVIDs of agent and workload are renewed at half of their lives, and a stream sees it', async () => {
  await using domain = await TestDomain.start({ settings: 'agent_ttl = "6s"\n  default_x509_svid_ttl = "6s"' });
  await domain.createEntry('/web');
  await using agent = await domain.startAgent();
  const { agentId, svidExpiresAt: firstEnd } = agent.running;
  await using stream = workloadApi(agent).fetchX509SVID({}, { ...AS_WORKLOAD, deadlineMs: 60_000 });
  const seen = new Set<string>();
  while (seen.size < 4) {
    const [svid] = (await stream.receive())?.svids ?? [];
    seen.add(Buffer.from(svid?.x509Svid ?? []).toString('base64'));
  }
  expect(agent.running.svidExpiresAt.getTime()).toBeGreaterThan(firstEnd.getTime());
  expect(agent.running.agentId).toBe(agentId);
  expect(agent.messages).toContain('agent X.509-SVID renewed');
  const agents = domain.server.admin(AgentDefinition);
  const id = { trustDomain: 'example.org', path: pathOf(agentId) };
  await expect
    .poll(async () => (await agents.getAgent({ id, outputMask: undefined })).agentVersion, WAIT)
    .toBe('assayer');
  expect(agent.records.filter(({ level }) => level === 'warning' || level === 'error')).toEqual([]);
});

test('a restart goes on with the SVID and its key, without a new token', async () => {
  await using domain = await TestDomain.start();
  await domain.createEntry('/web');
  const token = await domain.createToken();
  const settings = `join_token = "${token}"`;
  const first = await domain.startAgent('agent', { settings });
  const { agentId, svidExpiresAt } = first.running;
  await first[Symbol.asyncDispose]();
  await using second = await domain.startAgent('agent', { settings });
  expect([second.running.agentId, second.running.svidExpiresAt]).toEqual([agentId, svidExpiresAt]);
  expect(second.messages).not.toContain('node attested');
  expect(await fetchIds(second)).toEqual(['spiffe://example.org/web']);
});

test('a restart while the server is away serves what there was; the server comes back and is found', async () => {
  await using domain = await TestDomain.start();
  await domain.stopServer();
  const plugins = DISK_SERVER(domain.folder.path);
  await domain.startServer({ plugins });
  const { port } = domain;
  await domain.createEntry('/web');
  const settings = `join_token = "${await domain.createToken()}"`;
  const first = await domain.startAgent('agent', { settings });
  const [before] = (await fetchX509(first)).svids;
  await expect.poll(() => first.messages, WAIT).toContain('workload cache updated');
  await first[Symbol.asyncDispose]();
  await domain.stopServer();

  await using second = await domain.startAgent('agent', { settings, serverPort: port });
  expect((await fetchX509(second)).svids).toEqual([before]);
  expect(second.messages).toContain('serving workloads from the cache of the last run');
  const file = await readFile(join(domain.folder.path, 'agent/data/workload-cache'));
  expect(file.includes('example.org')).toBe(false);
  expect(file.includes(Buffer.from(before?.x509SvidKey ?? []).toString('base64'))).toBe(false);

  await domain.startServer({ plugins, port });
  await domain.createEntry('/new');
  await expect.poll(() => fetchIds(second), WAIT).toEqual(['spiffe://example.org/web', 'spiffe://example.org/new']);
});

test('without the key of its SVID an agent attests anew, which a used join token cannot', async () => {
  await using domain = await TestDomain.start();
  const settings = `join_token = "${await domain.createToken()}"`;
  const plugins = 'KeyManager "memory" {}\n  NodeAttestor "join_token" {}\n  WorkloadAttestor "unix" {}';
  const first = await domain.startAgent('agent', { settings, plugins });
  const { agentId } = first.running;
  await first[Symbol.asyncDispose]();
  await expect(domain.startAgent('agent', { settings, plugins })).rejects.toThrow(
    new RegExp(`${agentId} cannot go on, the key manager .* does not have its key .* make a new join token`),
  );
  await using again = await domain.startAgent('agent', { plugins });
  expect(again.running.agentId).not.toBe(agentId);
});

test('a key manager that is killed takes the agent’s key along: another SVID is asked for over the connection there is', async () => {
  await using domain = await TestDomain.start();
  await domain.stopServer();
  const onDisk = DISK_SERVER(domain.folder.path);
  await domain.startServer({ plugins: onDisk });
  const { port } = domain;
  await domain.createEntry('/web');
  const plugins = 'KeyManager "memory" {}\n  NodeAttestor "join_token" {}\n  WorkloadAttestor "unix" {}';
  await using agent = await domain.startAgent('agent', { plugins });
  const { agentId } = agent.running;
  const [keyManager] = agent.running.plugins;
  process.kill(keyManager?.pid ?? 0, 'SIGKILL');
  await expect.poll(() => agent.messages, WAIT).toContain('agent X.509-SVID renewed');
  expect(agent.messages).toContain('the key manager has lost the key of the agent, which asks for another X.509-SVID');
  expect(agent.running.agentId).toBe(agentId);
  // The next connection is made with the new key.
  await domain.stopServer();
  await domain.startServer({ plugins: onDisk, port });
  await domain.createEntry('/new');
  await expect.poll(() => fetchIds(agent), WAIT).toEqual(['spiffe://example.org/web', 'spiffe://example.org/new']);
});

test('an agent that was evicted stops with what to do, and comes back with a new token', async () => {
  await using domain = await TestDomain.start();
  await using agent = await domain.startAgent();
  const { agentId } = agent.running;
  await domain.evict(agentId);
  const { message } = await endOf(agent);
  expect(message).toMatch(/^agent .* has to attest again, the server does not know it any more, .*token generate/);
  await agent[Symbol.asyncDispose]();
  await using again = await domain.startAgent();
  expect(again.running.agentId).not.toBe(agentId);
});

test('an agent that was banned stops, and its SVID and its cache are gone (inventory B007)', async () => {
  await using domain = await TestDomain.start();
  await domain.createEntry('/web');
  await using agent = await domain.startAgent();
  await domain.ban(agent.running.agentId);
  expect((await endOf(agent)).message).toMatch(/^the server has banned this agent, spiffe:.*: it stops/);
  await expect(readFile(join(domain.folder.path, 'agent/data/workload-cache'))).rejects.toMatchObject({
    code: 'ENOENT',
  });
  const kept = JSON.parse(await readFile(join(domain.folder.path, 'agent/data/agent.json'), 'utf8'));
  expect(Object.keys(kept)).toEqual(['format', 'bundle']);
});

describeWithGo('with a node attestor that lets agents attest again', () => {
  const startDomain = async (settings = '') =>
    await TestDomain.start({
      settings,
      plugins: `KeyManager "memory" {}
  NodeAttestor "go_digest" { plugin_cmd = "${await goPlugin('server-node-attestor')}" }`,
    });
  const plugins = async (folder: string, node = 'n1') => `${diskKeys(folder)}
  NodeAttestor "go_digest" {
    plugin_cmd = "${await goPlugin('agent-node-attestor')}"
    plugin_data { node = "${node}" }
  }
  WorkloadAttestor "unix" {}`;
  const startAgent = async (domain: TestDomain) =>
    await domain.startAgent('agent', { settings: '', plugins: await plugins(domain.folder.join('agent')) });

  test('it renews by attesting again', async () => {
    await using domain = await startDomain('agent_ttl = "6s"');
    await using agent = await startAgent(domain);
    expect(agent.running.agentId).toBe('spiffe://example.org/spire/agent/go_digest/n1');
    const attested = () => agent.messages.filter((message) => message === 'node attested').length;
    await expect.poll(attested, WAIT).toBeGreaterThan(2);
    expect(agent.records.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('its plugin hears from the server who that is, and whether the agent is known', async () => {
    await using domain = await startDomain();
    const onlyInMemory = (await plugins('', 'who-are-you')).replace(diskKeys(''), 'KeyManager "memory" {}');
    await using agent = await domain.startAgent('agent', { settings: '', plugins: onlyInMemory });
    const id = { trustDomain: 'example.org', path: pathOf(agent.running.agentId) };
    const heard = async () => {
      const { selectors } = await domain.server.admin(AgentDefinition).getAgent({ id, outputMask: undefined });
      return selectors.map(({ value }) => value).filter((value) => /^(identity|agent-store):/.test(value));
    };
    const identity = 'identity:spiffe://example.org/spire/server of example.org';
    expect(await heard()).toEqual(expect.arrayContaining([identity, 'agent-store:NotFound']));
    process.kill(agent.running.plugins.find(({ type }) => type === 'KeyManager')?.pid ?? 0, 'SIGKILL');
    await expect.poll(heard, WAIT).toEqual(expect.arrayContaining([identity, 'agent-store:OK']));
  });

  test('a key manager that is killed takes the agent’s key along: it attests again', async () => {
    await using domain = await startDomain();
    const onlyInMemory = (await plugins('')).replace(diskKeys(''), 'KeyManager "memory" {}');
    await using agent = await domain.startAgent('agent', { settings: '', plugins: onlyInMemory });
    const keyManager = agent.running.plugins.find(({ type }) => type === 'KeyManager');
    process.kill(keyManager?.pid ?? 0, 'SIGKILL');
    const attested = () => agent.messages.filter((message) => message === 'node attested').length;
    await expect.poll(attested, WAIT).toBe(2);
  });

  test('evicted, it attests again in process', async () => {
    await using domain = await startDomain();
    await domain.createEntry('/web', { parentId: { path: '/spire/agent/go_digest/n1', trustDomain: 'example.org' } });
    await using agent = await startAgent(domain);
    await domain.evict(agent.running.agentId);
    await expect.poll(() => agent.messages.filter((message) => message === 'node attested').length, WAIT).toBe(2);
    expect(await fetchIds(agent)).toEqual(['spiffe://example.org/web']);
  });

  test('banned, it is refused', async () => {
    await using domain = await startDomain();
    await using agent = await startAgent(domain);
    await domain.ban(agent.running.agentId);
    await endOf(agent);
    await agent[Symbol.asyncDispose]();
    await expect(startAgent(domain)).rejects.toThrow(/banned/);
  });
});
