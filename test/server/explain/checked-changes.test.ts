import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Datastore } from '../../../src/datastore/datastore.ts';
import { Entry } from '../../../src/gen/spire/api/types/types.ts';
import { EntryCache } from '../../../src/server/entry-cache.ts';
import { checkChanges } from '../../../src/server/explain/checked-changes.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { engines } from '../../datastore/engines.ts';
import { id, newEntry, selectors, TRUST_DOMAIN } from '../../datastore/fixtures.ts';
import { apiId } from '../callers.ts';

const resources = new AsyncDisposableStack();
let datastore: Datastore;

beforeAll(async () => {
  const database = resources.use(await engines[0]?.create());
  if (database === undefined) throw new Error('no engine');
  datastore = await database.open();
});
afterAll(() => resources.disposeAsync());

const wanted = (path: string, selectorCount = 1, entryId = '') =>
  Entry.fromPartial({
    id: entryId,
    spiffeId: apiId(path),
    parentId: apiId('/node'),
    selectors: Array.from({ length: selectorCount }, (_, index) => ({ type: 'unix', value: `gid:${index}` })),
  });

test('a change is like no entry that is there, nor like another change', async () => {
  const created = await datastore.entries.create(
    newEntry({ spiffeId: id('a'), parentId: id('node'), selectors: selectors('unix:gid:0') }),
  );
  const options = { cache: await EntryCache.open(datastore.entries, TRUST_DOMAIN), trustDomain: TRUST_DOMAIN };
  const { results, changes } = checkChanges(
    {
      create: [wanted('/a'), wanted('/b'), wanted('/b'), wanted('/c', 1, 'named'), wanted('/d', 1, 'named')],
      update: [wanted('/b', 1, created.entry.id), wanted('/e', 1, created.entry.id)],
      delete: [created.entry.id, 'none'],
    },
    { ...options, bundles: new Set() },
  );
  const { AlreadyExists, NotFound, Ok } = Status;
  expect(results.map(({ code }) => code)).toEqual([
    ...[AlreadyExists, Ok, AlreadyExists, Ok, AlreadyExists],
    ...[AlreadyExists, Ok],
    ...[Ok, NotFound],
  ]);
  expect([...changes.keys()]).toEqual(['new-1', 'named', created.entry.id]);
});

test('many changes with many selectors are looked at in the time that they take, not in its square', async () => {
  const cache = await EntryCache.open(datastore.entries, TRUST_DOMAIN);
  const create = Array.from({ length: 1000 }, (_, index) => wanted(`/many/${index}`, 100));
  const startedAt = performance.now();
  const options = { cache, trustDomain: TRUST_DOMAIN, bundles: new Set<never>() };
  const { results } = checkChanges({ create, update: [], delete: [] }, options);
  expect(results.every(({ code }) => code === Status.Ok)).toBe(true);
  expect(performance.now() - startedAt).toBeLessThan(15_000);
});
