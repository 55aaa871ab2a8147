import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { DelegatedIdentityDefinition } from '../../src/gen/spire/api/agent/delegatedidentity/v1/delegatedidentity.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import { Status } from '../../src/spiffe/status.ts';
import { MYSELF, TestDomain } from '../agent/test-domain.ts';
import { fetchIds, firstOf } from '../agent/workload.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { rawCall } from '../server/raw-call.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const resources = new AsyncDisposableStack();
let domain: TestDomain;
let agent: TestAgent;
const OWN = process.getuid?.() ?? 0;

beforeAll(async () => {
  domain = resources.use(await TestDomain.start());
  await domain.createEntry('/web');
  await domain.createEntry('/secret', { selectors: [{ type: 'vault', value: 'never-in-a-log' }] });
  const folder = domain.folder.join('agent');
  agent = resources.use(
    await domain.startAgent('agent', {
      settings: `join_token = "${await domain.createToken()}"\n  admin_socket_path = "${folder}/admin/admin.sock"
  authorized_delegates = ["spiffe://example.org/web"]`,
    }),
  );
  await vi.waitUntil(async () => (await fetchIds(agent)).length > 0, { timeout: 30_000, interval: 200 });
});
afterAll(() => resources.disposeAsync());

test('selectors are in no log, at level debug either: the server’s, the agent’s, or an error', async () => {
  const refused = await domain
    .createEntry('/x', { selectors: [{ type: 'vault', value: `never-in-a-log ${'x'.repeat(5000)}` }] })
    .then(
      () => undefined,
      (error: unknown) => error,
    );
  if (refused instanceof RemoteError) expect(refused.message.length).toBeLessThan(3000);
  const texts = [...domain.server.records, ...agent.records].map((record) => JSON.stringify(record));
  expect(texts.length).toBeGreaterThan(10);
  for (const secret of ['never-in-a-log', `uid:${OWN}`, 'gid:']) {
    expect(texts.filter((text) => text.includes(secret))).toEqual([]);
  }
});

test('the delegated API is on no socket that workloads have', async () => {
  using channel = RpcChannel.unix(agent.running.socketPath);
  const method = '/spire.api.agent.delegatedidentity.v1.DelegatedIdentity/SubscribeToX509SVIDs';
  expect(await rawCall(channel, method, new Uint8Array())).toBe(Status.Unimplemented);
});

test('an identity of an admin or of a server below comes to a workload by its selectors alone, and says so in its entry', async () => {
  await domain.createEntry('/admin', { admin: true });
  await domain.createEntry('/below', { downstream: true });
  await domain.createEntry('/others-admin', { admin: true, selectors: [{ type: 'unix', value: 'uid:4242' }] });
  const wanted = ['spiffe://example.org/admin', 'spiffe://example.org/below', 'spiffe://example.org/web'];
  await expect.poll(async () => [...(await fetchIds(agent))].sort(), { timeout: 30_000 }).toEqual(wanted);
  // Not through a delegate, either: neither an X.509-SVID nor a token.
  using channel = RpcChannel.unix(`${domain.folder.join('agent')}/admin/admin.sock`);
  const delegated = createClient(DelegatedIdentityDefinition, channel);
  const webId = { trustDomain: 'example.org', path: '/web' };
  for (const asked of [
    { selectors: [MYSELF], pid: 0 },
    { selectors: [], pid: process.pid },
  ]) {
    const { x509Svids } = await firstOf(delegated.subscribeToX509SVIDs(asked, { deadlineMs: 20_000 }));
    expect(x509Svids.map(({ x509Svid }) => x509Svid?.id)).toEqual([webId]);
    const { svids } = await delegated.fetchJWTSVIDs({ ...asked, audience: ['api'] }, { deadlineMs: 20_000 });
    expect(svids.map(({ id }) => id)).toEqual([webId]);
  }
});
