import { expect, test, vi } from 'vitest';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry, EntryMask } from '../../src/gen/spire/api/types/types.ts';
import { TestDomain } from './test-domain.ts';
import { AS_WORKLOAD, fetchIds, workloadApi } from './workload.ts';

vi.setConfig({ testTimeout: 90_000 });

/** An agent that would ask by itself once an hour: what it knows earlier, it was told. */
const TOLD = { syncInterval: '1h' };
const WAIT = { timeout: 30_000, interval: 50 };

test('a workload hears of an entry as soon as it is made, and of another one, and of their end', async () => {
  await using domain = await TestDomain.start();
  await using agent = await domain.startAgent('agent', TOLD);
  const first = await domain.createEntry('/first');
  await expect.poll(() => fetchIds(agent), WAIT).toEqual(['spiffe://example.org/first']);
  await using stream = workloadApi(agent).fetchX509SVID({}, { ...AS_WORKLOAD, deadlineMs: 60_000 });
  const nextIds = async () => (await stream.receive())?.svids.map(({ spiffeId }) => spiffeId);
  expect(await nextIds()).toEqual(['spiffe://example.org/first']);
  const second = await domain.createEntry('/second');
  expect(await nextIds()).toEqual(['spiffe://example.org/first', 'spiffe://example.org/second']);
  await domain.deleteEntry(first);
  expect(await nextIds()).toEqual(['spiffe://example.org/second']);
  await domain.deleteEntry(second);
  await expect(stream.receive()).rejects.toThrow('no identity issued');
});

test('an identity is taken back at once, though the server cannot sign what follows', async () => {
  await using domain = await TestDomain.start();
  await using agent = await domain.startAgent('agent', TOLD);
  const id = await domain.createEntry('/first');
  await expect.poll(() => fetchIds(agent), WAIT).toEqual(['spiffe://example.org/first']);
  await using stream = workloadApi(agent).fetchX509SVID({}, { ...AS_WORKLOAD, deadlineMs: 60_000 });
  await stream.receive();
  const keyManager = domain.server.running.plugins.find(({ type }) => type === 'KeyManager')?.pid ?? 0;
  process.kill(keyManager, 'SIGSTOP');
  try {
    // For somebody else from now on: that one's SVID is to be signed.
    const selectors = [{ type: 'unix', value: 'uid:70000' }];
    await domain.server.admin(EntryDefinition).batchUpdateEntry({
      entries: [Entry.fromPartial({ id, selectors })],
      inputMask: EntryMask.fromPartial({ selectors: true }),
      outputMask: undefined,
    });
    await expect(stream.receive()).rejects.toThrow('no identity issued');
  } finally {
    process.kill(keyManager, 'SIGCONT');
  }
});

test('an agent that is banned hears of it and ends', async () => {
  await using domain = await TestDomain.start();
  await domain.createEntry('/web');
  await using agent = await domain.startAgent('agent', TOLD);
  await expect.poll(() => fetchIds(agent), WAIT).toEqual(['spiffe://example.org/web']);
  await using stream = workloadApi(agent).fetchX509SVID({}, { ...AS_WORKLOAD, deadlineMs: 60_000 });
  await stream.receive();
  await domain.ban(agent.running.agentId);
  await expect(agent.running.ended).rejects.toThrow(/^the server has banned this agent/);
});

test('an agent that is evicted hears of it', async () => {
  await using domain = await TestDomain.start();
  await using agent = await domain.startAgent('agent', TOLD);
  await domain.evict(agent.running.agentId);
  await expect(agent.running.ended).rejects.toThrow(/the server does not know it any more/);
});

test('after its server was away an agent is told again', async () => {
  await using domain = await TestDomain.start();
  await domain.stopServer();
  const plugins = `KeyManager "disk" { plugin_data { keys_path = "${domain.folder.path}/data/server-keys.json" } }\n  NodeAttestor "join_token" {}`;
  await domain.startServer({ plugins });
  const { port } = domain;
  // Asked by itself it would find the server again, too: not within the time of this test.
  await using agent = await domain.startAgent('agent', { syncInterval: '1h' });
  await domain.createEntry('/before');
  await expect.poll(() => fetchIds(agent), WAIT).toEqual(['spiffe://example.org/before']);
  await domain.stopServer();
  await domain.startServer({ plugins, port });
  await domain.createEntry('/after');
  await expect.poll(() => fetchIds(agent), WAIT).toEqual(['spiffe://example.org/before', 'spiffe://example.org/after']);
  await domain.createEntry('/later');
  await expect.poll(async () => (await fetchIds(agent)).length, WAIT).toBe(3);
});

test('an entry that expires is no identity a moment later, though nobody wrote anything', async () => {
  await using domain = await TestDomain.start();
  await using agent = await domain.startAgent('agent', TOLD);
  const expiresAt = BigInt(Math.floor(Date.now() / 1000) + 6);
  await domain.createEntry('/short', { expiresAt });
  await expect.poll(() => fetchIds(agent), WAIT).toEqual(['spiffe://example.org/short']);
  await using stream = workloadApi(agent).fetchX509SVID({}, { ...AS_WORKLOAD, deadlineMs: 60_000 });
  await stream.receive();
  await expect(stream.receive()).rejects.toThrow('no identity issued');
  // It is not deleted yet: the server prunes once a minute.
  const { count } = await domain.server.admin(EntryDefinition).countEntries({ filter: undefined });
  expect(count).toBeGreaterThan(0);
});
