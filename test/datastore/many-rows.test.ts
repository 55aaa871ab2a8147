import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Datastore } from '../../src/datastore/datastore.ts';
import { engines, type TestDatabase } from './engines.ts';
import { id, newEntry, selectors } from './fixtures.ts';

describe.each(engines)('many rows on $name', (engine) => {
  let database: TestDatabase;
  let datastore: Datastore;
  beforeEach(async () => {
    database = await engine.create();
    datastore = await database.open();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  const wanted = (count: number) =>
    Array.from({ length: count }, (_, n) =>
      newEntry({ spiffeId: id(`w/${n}`), selectors: selectors(`unix:uid:${n}`, 'unix:gid:7', `k8s:pod:${n}`) }),
    );

  test.each([1, 2, 3, 255, 256, 257, 1_337])('%i entries are stored and found as they were given', async (count) => {
    const created = await datastore.entries.createMany(wanted(count));
    expect(created.map(({ entry }) => entry.spiffeId)).toEqual(wanted(count).map(({ spiffeId }) => spiffeId));
    const sequences = created.map(({ sequence }) => sequence);
    const { events } = await datastore.entries.eventsAfter(0, 10_000);
    expect(sequences).toEqual(events.map(({ sequence }) => sequence));
    expect(events.map(({ key, kind }) => [key, kind])).toEqual(created.map(({ entry }) => [entry.id, 'created']));
    const entries = created.map(({ entry }) => entry);
    expect(await datastore.entries.findMany(entries.map((entry) => entry.id))).toEqual(
      expect.arrayContaining(entries.slice(0, 3)),
    );
    expect((await datastore.entries.list()).items).toEqual(entries); // new IDs grow
    expect((await datastore.entries.listIds()).items).toEqual(entries.map((entry) => entry.id));
  });

  test('those that were there are told apart from those that were not, and have no event', async () => {
    const [old] = await datastore.entries.createMany(wanted(1));
    const created = await datastore.entries.createMany(wanted(5));
    expect(created.map((one) => one.created)).toEqual([false, true, true, true, true]);
    expect(created.map(({ sequence }) => sequence)).toEqual([undefined, 2, 3, 4, 5]);
    expect(created[0]?.entry).toEqual(old?.entry);
  });

  test('pages of IDs are those of entries', async () => {
    const created = await datastore.entries.createMany(wanted(5));
    const first = await datastore.entries.listIds({}, { size: 3 });
    const second = await datastore.entries.listIds({}, { size: 3, token: first.nextPageToken });
    expect([...first.items, ...second.items]).toEqual(created.map(({ entry }) => entry.id));
    expect(second.nextPageToken).toBe('');
    const filter = { spiffeId: id('w/3') };
    expect((await datastore.entries.listIds(filter)).items).toEqual([created[3]?.entry.id]);
  });
});
