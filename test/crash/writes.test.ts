import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';
import { createClient } from '../../src/rpc/client.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { PostgresServer } from '../harness/postgres-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { newCsr } from '../server/callers.ts';
import { KilledServer } from './killed-server.ts';

// The process ends before each statement that writes, and once behind the last: the next start finds the state of before
// or of after, and goes on.

vi.setConfig({ testTimeout: 600_000, hookTimeout: 60_000 });
/** More statements than any of these operations has. */
const MAX_WRITES = 60;

const resources = new AsyncDisposableStack();
let postgres: PostgresServer;
beforeAll(async () => {
  postgres = resources.use(await PostgresServer.start());
});
afterAll(() => resources.disposeAsync());

const engines = [
  [
    'SQLite',
    1,
    (folder: TemporaryFolder) => `database_type = "sqlite3" connection_string = "${folder.path}/db.sqlite3"`,
  ],
  ['PostgreSQL', 3, () => `database_type = "postgres" connection_string = "${postgres.connectionString()}"`],
] as const;

async function bundlePem(server: KilledServer): Promise<string> {
  const { x509Authorities } = await server.admin(BundleDefinition).getBundle({ outputMask: undefined });
  return x509Authorities.map(({ asn1 }) => encodePem('CERTIFICATE', asn1)).join('');
}

const entry = (path: string) =>
  Entry.fromPartial({
    spiffeId: { trustDomain: 'example.org', path },
    parentId: { trustDomain: 'example.org', path: '/node' },
    selectors: [
      { type: 'unix', value: 'uid:1000' },
      { type: 'unix', value: 'gid:1000' },
    ],
    dnsNames: ['a.example.org'],
  });

async function attest(server: KilledServer, pem: string, token: string) {
  using channel = server.openTls(pem);
  const { csr } = await newCsr();
  await using call = createClient(AgentDefinition, channel).attestAgent({ deadlineMs: 30_000 });
  const data = { type: 'join_token', payload: Buffer.from(token) };
  await call.send({ step: { $case: 'params', value: { data, params: { csr } } } });
  call.end();
  const step = (await call.receive())?.step;
  if (step?.$case !== 'result') throw new Error('no verdict');
  const [leaf] = step.value.svid?.certChain ?? [];
  if (leaf === undefined) throw new Error('no SVID');
  return Buffer.from(parseCertificate(leaf).serialNumber).toString('hex');
}

describe.each(engines)('killed at every write, on %s, every %i', (_name, step, datastoreOf) => {
  test('a batch of entries is there as a whole or not at all', async () => {
    await using folder = await createTemporaryFolder();
    const datastore = datastoreOf(folder);
    let before: readonly string[] = [];
    let wanted: readonly string[] = [];
    let killAt = 1;
    let writes = 0;
    let wasBehind = false;
    for (; killAt <= MAX_WRITES && !wasBehind; killAt += step) {
      await using server = await KilledServer.start({ folder: folder.path, datastore, killAt });
      const now = await pathsOf(server);
      const isBefore = same(now, before);
      expect(isBefore || same(now, [...before, ...wanted].sort())).toBe(true);
      before = now;
      wanted = ['a', 'b', 'c'].map((name) => `/${killAt}-${name}`);
      await server.arm();
      const created = server
        .admin(EntryDefinition)
        .batchCreateEntry({ entries: wanted.map(entry), outputMask: undefined })
        .then(
          () => true,
          () => false,
        );
      wasBehind = await created;
      if (wasBehind) writes = (await server.writes()).length;
      if (!wasBehind) expect(await server.killed()).toBe('SIGKILL');
    }
    expect(killAt).toBeGreaterThan(4); // entries, lists, events, commit
    expect(wasBehind).toBe(true);
    // What was committed is there, answered or not.
    await using server = await KilledServer.start({ folder: folder.path, datastore, killAt: writes, kill: 'after' });
    await server.arm();
    const unheard = ['/x', '/y', '/z'].map(entry);
    const api = server.admin(EntryDefinition);
    await expect(api.batchCreateEntry({ entries: unheard, outputMask: undefined })).rejects.toThrow();
    expect(await server.killed()).toBe('SIGKILL');
    await using after = await KilledServer.start({ folder: folder.path, datastore, killAt: 0 });
    expect(await pathsOf(after)).toEqual(expect.arrayContaining(['/x', '/y', '/z']));
  });

  test('a join token is used once, with its agent, or not at all; no serial number comes twice', async () => {
    await using folder = await createTemporaryFolder();
    const datastore = datastoreOf(folder);
    const serials: string[] = [];
    let token = '';
    let pem = '';
    let wasBehind = false;
    let killAt = 1;
    for (; killAt <= MAX_WRITES && !wasBehind; killAt += step) {
      await using server = await KilledServer.start({ folder: folder.path, datastore, killAt });
      pem = await bundlePem(server);
      if (token !== '') {
        const agents = await agentsOf(server);
        const isUsed = agents.includes(`/spire/agent/join_token/${token}`);
        const again = await attest(server, pem, token).catch((error: Error) => error.message);
        if (isUsed) expect(again).toContain('join token does not exist or has already been used');
        else serials.push(again);
        expect(await agentsOf(server)).toContain(`/spire/agent/join_token/${token}`);
        await expect(attest(server, pem, token)).rejects.toThrow('already been used');
      }
      const created = await server
        .admin(AgentDefinition)
        .createJoinToken({ ttl: 600, token: '', agentId: { trustDomain: 'example.org', path: '/node' } });
      token = created.value;
      await server.arm();
      const serial = await attest(server, pem, token).catch(() => undefined);
      wasBehind = serial !== undefined;
      if (serial !== undefined) serials.push(serial);
      else expect(await server.killed()).toBe('SIGKILL');
    }
    expect(killAt).toBeGreaterThan(4);
    expect(wasBehind).toBe(true);
    expect(new Set(serials).size).toBe(serials.length);
    expect(serials.every((serial) => /^[0-9a-f]{16,}$/.test(serial))).toBe(true);
  });
});

async function pathsOf(server: KilledServer): Promise<readonly string[]> {
  const { entries } = await server
    .admin(EntryDefinition)
    .listEntries({ filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' });
  for (const { selectors, dnsNames } of entries) {
    expect({ selectors: selectors.length, dnsNames }).toEqual({ selectors: 2, dnsNames: ['a.example.org'] });
  }
  return entries.map(({ spiffeId }) => spiffeId?.path ?? '').sort();
}

async function agentsOf(server: KilledServer): Promise<readonly string[]> {
  const { agents } = await server
    .admin(AgentDefinition)
    .listAgents({ filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' });
  return agents.map(({ id }) => id?.path ?? '');
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index]);
}
