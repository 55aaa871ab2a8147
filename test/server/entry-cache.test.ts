import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Datastore, openDatastore } from '../../src/datastore/datastore.ts';
import type { NewEntry } from '../../src/datastore/entry-repository.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { EntryCache } from '../../src/server/entry-cache.ts';
import { parseSelector } from '../../src/spiffe/selector.ts';
import { parseSpiffeId, type SpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { attestByJoinToken } from './callers.ts';

const resources = new AsyncDisposableStack();
const trustDomain = parseTrustDomain('example.org');
const NOW = 1_800_000_000;
let folder: TemporaryFolder;
let datastore: Datastore;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
});
afterAll(() => resources.disposeAsync());

const id = (path: string): SpiffeId => parseSpiffeId(`spiffe://example.org${path}`);
const AGENT = id('/spire/agent/x/1');
const newEntry = (
  parent: string,
  path: string,
  selectors = 'unix:uid:0',
  changes: Partial<NewEntry> = {},
): NewEntry => ({
  id: '',
  parentId: id(parent),
  spiffeId: id(path),
  selectors: selectors.split(' ').map(parseSelector),
  x509SvidTtlSeconds: 0,
  jwtSvidTtlSeconds: 0,
  federatesWith: [],
  admin: false,
  downstream: false,
  storeSvid: false,
  dnsNames: [],
  expiresAt: 0,
  hint: '',
  jwtSvidIncludeJti: false,
  disableX509SvidPrefetch: false,
  ...changes,
});

describe('what an agent may sign for', () => {
  beforeEach(async () => {
    datastore = await openDatastore({ path: folder.join(`${crypto.randomUUID()}.sqlite3`) });
    return () => datastore[Symbol.asyncDispose]();
  });
  test('is read anew by a full reload, (C038)', async () => {
    await datastore.entries.createMany([newEntry('/spire/agent/x/1', '/a')]);
    const cache = await EntryCache.open(datastore.entries, trustDomain);
    await datastore.entries.createMany([newEntry('/spire/agent/x/1', '/b')]);
    expect(cache.size).toBe(1);
    await cache.reload();
    expect(cache.size).toBe(2);
  });

  const authorized = async (entries: readonly NewEntry[], agentSelectors = 'tpm:a:1 tpm:b:2', now = NOW) => {
    await datastore.entries.createMany(entries);
    const cache = await EntryCache.open(datastore.entries, trustDomain);
    const selectors = agentSelectors.split(' ').map(parseSelector);
    const found = cache.authorizedEntries(AGENT, selectors, now);
    const ids = (await datastore.entries.list()).items.map((entry) => entry.id);
    const findOne = cache.authorizedEntry(AGENT, selectors, now);
    expect(found.map((entry) => entry.id)).toEqual(ids.filter((one) => findOne(one) !== undefined));
    return found.map(({ spiffeId }) => spiffeId.slice(id('').length)).sort();
  };
  const AGENT_PATH = '/spire/agent/x/1';
  const alias = (path: string, selectors: string, changes: Partial<NewEntry> = {}) =>
    newEntry('/spire/server', path, selectors, changes);

  test.each<readonly [string, readonly NewEntry[], readonly string[]]>([
    ['nothing', [], []],
    ["only the agent's own", [newEntry(AGENT_PATH, '/web'), newEntry('/spire/agent/x/2', '/other')], ['/web']],
    [
      'what is below what is below it',
      [newEntry(AGENT_PATH, '/a'), newEntry('/a', '/b'), newEntry('/b', '/c')],
      ['/a', '/b', '/c'],
    ],
    [
      'what is below an alias that its selectors earn',
      [alias('/alias', 'tpm:a:1'), newEntry('/alias', '/web')],
      ['/web'],
    ],
    [
      'what is below an alias of all its selectors',
      [alias('/alias', 'tpm:b:2 tpm:a:1'), newEntry('/alias', '/web')],
      ['/web'],
    ],
    ['nothing below an alias of a selector more', [alias('/alias', 'tpm:a:1 tpm:c:3'), newEntry('/alias', '/web')], []],
    ['nothing below an alias of another value', [alias('/alias', 'tpm:a:2'), newEntry('/alias', '/web')], []],
    [
      'what is below an alias below an alias',
      [alias('/alias', 'tpm:a:1'), newEntry('/alias', '/next'), newEntry('/next', '/web')],
      ['/next', '/web'],
    ],
    ['the alias itself never', [alias('/alias', 'tpm:a:1')], []],
    [
      'each entry once, however many ways lead to it',
      [alias('/one', 'tpm:a:1'), alias('/two', 'tpm:b:2'), newEntry('/one', '/web'), newEntry('/two', '/one')],
      ['/one', '/web'],
    ],
    [
      'nothing that has expired, nor what is below that',
      [newEntry(AGENT_PATH, '/a', 'unix:uid:0', { expiresAt: NOW }), newEntry('/a', '/b')],
      [],
    ],
    ['what expires in a second', [newEntry(AGENT_PATH, '/a', 'unix:uid:0', { expiresAt: NOW + 1 })], ['/a']],
    [
      'nothing below an alias that has expired',
      [alias('/alias', 'tpm:a:1', { expiresAt: NOW - 1 }), newEntry('/alias', '/web')],
      [],
    ],
    ['a loop of two', [newEntry(AGENT_PATH, '/a'), newEntry('/a', '/b'), newEntry('/b', '/a')], ['/a', '/a', '/b']],
    ['an entry that is its own parent', [newEntry(AGENT_PATH, '/a'), newEntry('/a', '/a')], ['/a', '/a']],
  ])('%s (B015)', async (_what, entries, expected) => {
    expect(await authorized(entries)).toEqual(expected);
  });

  test('a chain of 5,000 and 5,000 side by side', async () => {
    const chain = Array.from({ length: 5_000 }, (_, n) => newEntry(n === 0 ? AGENT_PATH : `/c/${n - 1}`, `/c/${n}`));
    const wide = Array.from({ length: 5_000 }, (_, n) => newEntry(AGENT_PATH, `/w/${n}`));
    expect(await authorized([...chain, ...wide])).toHaveLength(10_000);
  });

  test('follows what is created, updated and deleted', async () => {
    const cache = await EntryCache.open(datastore.entries, trustDomain);
    const paths = () => cache.authorizedEntries(AGENT, [], NOW).map(({ spiffeId }) => spiffeId.slice(id('').length));
    const { entry } = await datastore.entries.create(newEntry(AGENT_PATH, '/a'));
    expect(paths()).toEqual([]);
    await cache.refresh();
    expect(paths()).toEqual(['/a']);
    await datastore.entries.update(entry.id, { spiffeId: id('/b') });
    await cache.refresh();
    expect(paths()).toEqual(['/b']);
    expect(cache.entriesOf(id('/a'))).toEqual([]);
    await datastore.entries.update(entry.id, { parentId: id('/elsewhere') });
    await cache.refresh();
    expect(paths()).toEqual([]);
    await datastore.entries.delete(entry.id);
    await cache.refresh();
    expect(cache.find(entry.id)).toBeUndefined();
  });

  test('one SPIFFE ID of several entries loses them one by one', async () => {
    const created = await datastore.entries.createMany(
      ['/n/1', '/n/2', '/n/3'].map((parent) => newEntry(parent, '/same')),
    );
    const cache = await EntryCache.open(datastore.entries, trustDomain);
    const parents = () => cache.entriesOf(id('/same')).map(({ parentId }) => parentId);
    expect(parents()).toHaveLength(3);
    for (const [n, { entry }] of created.entries()) {
      await datastore.entries.delete(entry.id);
      await cache.refresh();
      expect(parents()).toEqual(expect.arrayContaining(created.slice(n + 1).map((one) => one.entry.parentId)));
      expect(parents()).toHaveLength(2 - n);
    }
    expect(cache.size).toBe(0);
  });

  test('what was just created counts as read, but not what became of it since', async () => {
    const cache = await EntryCache.open(datastore.entries, trustDomain);
    const created = await datastore.entries.createMany(['/a', '/b', '/c'].map((path) => newEntry(AGENT_PATH, path)));
    const [a, b, c] = created.map(({ entry }) => entry.id);
    await datastore.entries.update(b ?? '', { hint: 'newer' });
    await datastore.entries.delete(c ?? '');
    const [again] = await datastore.entries.createMany([newEntry(AGENT_PATH, '/c', 'unix:uid:7', { id: c ?? '' })]);
    await cache.refresh(created);
    expect(cache.find(a ?? '')).toMatchObject({ ...created[0]?.entry });
    expect(cache.find(b ?? '')).toMatchObject({ hint: 'newer', revisionNumber: 1 });
    expect(cache.find(c ?? '')).toMatchObject({ ...again?.entry });
    await cache.refresh(created); // they have been heard of already
    expect(cache.find(c ?? '')).toMatchObject({ ...again?.entry });
  });

  test('reads everything anew where events were pruned', async () => {
    const cache = await EntryCache.open(datastore.entries, trustDomain);
    const { entry } = await datastore.entries.create(newEntry(AGENT_PATH, '/a'));
    await datastore.entries.create(newEntry(AGENT_PATH, '/b'));
    await datastore.entries.delete(entry.id);
    await datastore.entries.pruneEvents(-10);
    await cache.refresh();
    expect(cache.authorizedEntries(AGENT, [], NOW).map(({ spiffeId }) => spiffeId)).toEqual([id('/b')]);
  });
});

test('a server sees what another process wrote within cache_reload_interval, and prunes what expired', async () => {
  const own = resources.use(await createTemporaryFolder());
  const settings = 'experimental { cache_reload_interval = "200ms" }';
  await using server = await TestServer.start({ folder: own.path, settings });
  using agent = await attestByJoinToken(server);
  await using direct = await openDatastore({ path: server.datastorePath });
  const { entry } = await direct.entries.create(newEntry(agent.id.path, '/direct'));
  const ids = async () => {
    const { entries } = await agent.client(EntryDefinition).getAuthorizedEntries({ outputMask: undefined });
    return entries.map((one) => one.id);
  };
  // The default is 5s: what is heard later is not heard by the setting.
  const belowDefault = { timeout: 5_000, interval: 20 };
  await expect.poll(ids, belowDefault).toEqual([entry.id]);
  await direct.entries.delete(entry.id);
  await expect.poll(ids, belowDefault).toEqual([]);
});
