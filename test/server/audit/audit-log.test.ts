import { createHash } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sendEntries } from '../../../src/cli/apply/send-entries.ts';
import { ApplyDefinition } from '../../../src/gen/assayer/server/apply/v1/apply.ts';
import { AgentDefinition } from '../../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../../src/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDDefinition } from '../../../src/gen/spire/api/server/svid/v1/svid.ts';
import { EntryMask } from '../../../src/gen/spire/api/types/types.ts';
import type { LogFields } from '../../../src/log/logger.ts';
import { eventually } from '../../harness/eventually.ts';
import { TestServer } from '../../harness/running-server.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { create, created, inScope, outputMask, update } from '../authorization/registrar.ts';
import { apiId, attestByJoinToken, mintedCaller, newCsr, newJoinToken, TlsCaller } from '../callers.ts';

const SETTINGS = `
  audit_log_enabled = true
  audit_log {
    skip "counting" { methods = ["spire.api.server.agent.v1.Agent/CountAgents"] status = ["success"] }
    skip "agents that sync" { methods = ["entries:sync"] callers = ["agent"] status = ["success"] }
    skip "the quiet one" { callers = ["spiffe://example.org/quiet"] }
  }
  authorization {
    role "shop" {
      callers = ["spiffe://example.org/registrar"]
      methods = ["entries:write", "agents:read"]
      scope {
        spiffe_id_prefixes = ["spiffe://example.org/ns/shop"]
        parent_id_prefixes = ["spiffe://example.org/spire/agent"]
      }
    }
  }`;

const resources = new AsyncDisposableStack();
let server: TestServer;
let seen = 0;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path, settings: SETTINGS }));
});
afterAll(() => resources.disposeAsync());
beforeEach(() => {
  seen = server.records.length;
});

const audited = () => server.records.slice(seen).filter(({ fields }) => fields.type === 'audit');
/** A call’s records are written when it has ended, which may be after its caller knows. */
async function records(count: number): Promise<readonly LogFields[]> {
  await eventually(() => expect(audited().length).toBeGreaterThanOrEqual(count));
  return audited().map(({ fields }) => fields);
}
/** Forgets the records so far, which are so many. */
async function forget(count: number): Promise<void> {
  await records(count);
  seen = server.records.length;
}
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('tells who called on the admin socket, what, and that it went well', async () => {
  await server.admin(EntryDefinition).countEntries({ filter: undefined });
  expect(await records(1)).toEqual([
    {
      type: 'audit',
      service: 'entry.v1.Entry',
      method: 'CountEntries',
      request_id: expect.stringMatching(UUID),
      authorized_as: 'local',
      authorized_via: 'transport',
      caller_uid: process.getuid?.(),
      caller_gid: process.getgid?.(),
      caller_path: readlinkSync('/proc/self/exe'),
      status: 'success',
    },
  ]);
  expect(audited()[0]).toMatchObject({ level: 'info', message: 'API accessed' });
});

test('has a record for each item of a batch, of one request', async () => {
  const entries = server.admin(EntryDefinition);
  await create(entries, inScope({ hint: 'a', dnsNames: ['a.example', 'b.example'] }), inScope({ selectors: [] }));
  const [first, second, ...rest] = await records(2);
  expect(first).toMatchObject({
    method: 'BatchCreateEntry',
    status: 'success',
    spiffe_id: 'spiffe://example.org/ns/shop/web',
    parent_id: 'spiffe://example.org/spire/agent/k8s_psat/one/node',
    selectors: 'k8s:ns:shop',
    hint: 'a',
    dns_name: 'a.example,b.example',
    admin: false,
  });
  expect(second).toMatchObject({ status: 'error', status_code: 'InvalidArgument', request_id: first?.request_id });
  expect(second?.status_message).toMatch(/selector list is empty/);
  expect(rest).toEqual([]);
});

test('tells of an update what its mask names, and of a deletion the id', async () => {
  const entries = server.admin(EntryDefinition);
  const id = await created(entries, inScope({ spiffeId: apiId('/ns/shop/u') }));
  await update(entries, { ...inScope(), id, hint: 'b' }, EntryMask.fromPartial({ hint: true }));
  await entries.batchDeleteEntry({ ids: [id, 'none'] });
  const [, updated, deleted, missing] = await records(4);
  expect(updated).toMatchObject({ method: 'BatchUpdateEntry', entry_id: id, hint: 'b' });
  expect(updated).not.toHaveProperty('spiffe_id');
  expect(deleted).toMatchObject({ method: 'BatchDeleteEntry', entry_id: id, status: 'success' });
  expect(missing).toMatchObject({ entry_id: 'none', status: 'error', status_code: 'NotFound' });
});

test('has a record for each entry that files changed', async () => {
  const apply = (dryRun: boolean, ...entries: Parameters<typeof sendEntries>[2]) =>
    sendEntries(server.admin(ApplyDefinition), { set: 'audited', prune: true, adopt: false, dryRun }, entries);
  const file = inScope({ spiffeId: apiId('/ns/shop/file') });
  await apply(true, file);
  await apply(false, file);
  await apply(false, file);
  await apply(false, { ...file, hint: 'h' }, inScope({ spiffeId: apiId('/ns/shop/other') }));
  await apply(false);
  const all = await records(7);
  const spiffeId = 'spiffe://example.org/ns/shop/file';
  expect(all[0]).toMatchObject({ method: 'ApplyEntries', set: 'audited', dry_run: true, change: 'create' });
  expect(all[1]).toMatchObject({ dry_run: false, change: 'create', spiffe_id: spiffeId, status: 'success' });
  expect(all[1]?.entry_id).toMatch(/^[0-9a-f-]{36}$/);
  expect(all[2]).toMatchObject({ set: 'audited', unchanged: 1, problems: 0 });
  const [updated, made] = all.slice(3, 5).toSorted((a, b) => String(b.change).localeCompare(String(a.change)));
  expect(updated).toMatchObject({ change: 'update', changed_fields: 'hint', hint: 'h', entry_id: all[1]?.entry_id });
  expect(made).toMatchObject({ change: 'create', request_id: updated?.request_id });
  expect(all.slice(5).map(({ change }) => change)).toEqual(['delete', 'delete']);
});

describe('over TLS', () => {
  test('tells of callers by their SPIFFE ID and address, and what let them in', async () => {
    using registrar = await mintedCaller(server, '/registrar');
    await forget(1);
    await create(
      registrar.client(EntryDefinition),
      inScope({ spiffeId: apiId('/ns/shop/r') }),
      inScope({ admin: true }),
    );
    const [done, refused] = await records(2);
    expect(done).toMatchObject({
      authorized_as: 'role',
      authorized_via: 'shop',
      caller_id: 'spiffe://example.org/registrar',
      caller_addr: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      status: 'success',
    });
    expect(done).not.toHaveProperty('caller_uid');
    expect(refused).toMatchObject({ status: 'error', status_code: 'PermissionDenied', admin: true });
  });

  test('tells of a call that was refused, and of whom', async () => {
    using stranger = new TlsCaller(server);
    await stranger
      .client(EntryDefinition)
      .countEntries({ filter: undefined })
      .catch(() => {});
    const [refused] = await records(1);
    expect(refused).toMatchObject({ status: 'error', status_code: 'PermissionDenied', method: 'CountEntries' });
    expect(refused).not.toHaveProperty('authorized_as');
    await stranger.client(BundleDefinition).getBundle({ outputMask });
    expect((await records(2))[1]).toMatchObject({ authorized_as: 'nobody', authorized_via: '', status: 'success' });
  });

  test('tells of agents from their attestation on, by hashes of what they ask to be signed', async () => {
    using agent = await attestByJoinToken(server);
    const attestation = (await records(2)).find(({ method }) => method === 'AttestAgent');
    expect(attestation).toMatchObject({ node_attestor_type: 'join_token', agent_id: agent.spiffeId });
    const id = await created(
      server.admin(EntryDefinition),
      inScope({ parentId: agent.id, spiffeId: apiId('/ns/shop/a') }),
    );
    const { csr } = await newCsr();
    await forget(3);
    const params = [
      { entryId: id, csr },
      { entryId: 'none', csr },
    ];
    await agent.client(SVIDDefinition).batchNewX509SVID({ params });
    const [signed, refused] = await records(2);
    expect(signed).toMatchObject({
      authorized_as: 'agent',
      authorized_via: 'datastore',
      csr: sha256(csr),
      entry_id: id,
      spiffe_id: 'spiffe://example.org/ns/shop/a',
    });
    expect(refused).toMatchObject({ status: 'error', entry_id: 'none' });
  });
});

describe('leaves out', () => {
  test('a method that is skipped where it goes well, and not where it fails', async () => {
    const agents = server.admin(AgentDefinition);
    await agents.countAgents({ filter: undefined });
    using stranger = new TlsCaller(server);
    await stranger
      .client(AgentDefinition)
      .countAgents({ filter: undefined })
      .catch(() => {});
    await agents.listAgents({ filter: undefined, outputMask, pageSize: 0, pageToken: '' });
    expect((await records(2)).map(({ method, status }) => `${method} ${status}`)).toEqual([
      'CountAgents error',
      'ListAgents success',
    ]);
  });

  test('a caller that is skipped, by SPIFFE ID or by what it is', async () => {
    using quiet = await mintedCaller(server, '/quiet');
    using agent = await attestByJoinToken(server);
    await forget(3);
    await quiet.client(BundleDefinition).getBundle({ outputMask });
    await agent.client(EntryDefinition).getAuthorizedEntries({ outputMask });
    await server.admin(BundleDefinition).getBundle({ outputMask });
    expect((await records(1)).map(({ caller_id, method }) => [caller_id, method])).toEqual([[undefined, 'GetBundle']]);
  });
});

test('never has a token, a key or a CSR', async () => {
  const chosen = 'a-token-that-nobody-may-read';
  await newJoinToken(server, chosen);
  const { token } = (
    await server.admin(SVIDDefinition).mintJWTSVID({ id: apiId('/ns/shop/j'), audience: ['one', 'two'], ttl: 0 })
  ).svid ?? { token: '' };
  const { csr } = await newCsr({ uriNames: ['spiffe://example.org/ns/shop/x'] });
  await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 60 });
  const all = await records(3);
  expect(all.map(({ method }) => method)).toEqual(['CreateJoinToken', 'MintJWTSVID', 'MintX509SVID']);
  expect(all[1]).toMatchObject({ audience: 'one,two', spiffe_id: 'spiffe://example.org/ns/shop/j' });
  expect(all[2]).toMatchObject({ csr: sha256(csr), spiffe_id: 'spiffe://example.org/ns/shop/x', ttl: 60 });
  const text = JSON.stringify(all, (_key, value) => (typeof value === 'bigint' ? String(value) : value));
  expect(token).not.toBe('');
  for (const secret of [chosen, token, token.split('.')[1] ?? '', Buffer.from(csr).toString('base64')]) {
    expect(text).not.toContain(secret);
  }
});

test('cuts what a caller makes too long', async () => {
  const audience = Array.from({ length: 500 }, (_, index) => `audience-${index}-of-many`);
  await server.admin(SVIDDefinition).mintJWTSVID({ id: apiId('/ns/shop/j'), audience, ttl: 0 });
  expect(String((await records(1))[0]?.audience)).toHaveLength(2049);
});
