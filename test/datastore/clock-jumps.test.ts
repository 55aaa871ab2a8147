import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Datastore } from '../../src/datastore/datastore.ts';
import { engines, type TestDatabase } from './engines.ts';
import { id, newAgent, newEntry } from './fixtures.ts';

const DAY = 86_400;

describe.each(engines)('a clock that jumps, on $name', (engine) => {
  let database: TestDatabase;
  let datastore: Datastore;
  beforeEach(async () => {
    database = await engine.create();
    datastore = await database.open();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  const paths = async () => (await datastore.entries.list()).items.map(({ spiffeId }) => spiffeId);

  test('a day ahead has what ends within that day pruned, and nothing else', async () => {
    const now = database.clock.seconds;
    await datastore.entries.create(newEntry({ spiffeId: id('hour'), expiresAt: now + 3600 }));
    await datastore.entries.create(newEntry({ spiffeId: id('week'), expiresAt: now + 7 * DAY }));
    await datastore.entries.create(newEntry({ spiffeId: id('ever') }));
    await datastore.joinTokens.create({ token: 'hour', expiresAt: now + 3600 });
    await datastore.joinTokens.create({ token: 'week', expiresAt: now + 7 * DAY });
    database.clock.seconds += DAY;
    expect((await datastore.entries.pruneExpired()).map(({ spiffeId }) => spiffeId)).toEqual([id('hour')]);
    expect(await datastore.joinTokens.pruneExpired()).toBe(1);
    database.clock.seconds = now;
    expect((await paths()).sort()).toEqual([id('ever'), id('week')]);
    expect(await datastore.joinTokens.find('week')).toBeDefined();
  });

  test.each([DAY, -DAY])(
    'by %s seconds leaves the order of events as it is, and a reader misses none',
    async (seconds) => {
      const first = await datastore.entries.create(newEntry({ spiffeId: id('a') }));
      const at = await datastore.entries.latestEvent();
      database.clock.seconds += seconds;
      await datastore.entries.update(first.entry.id, { hint: 'h' });
      database.clock.seconds -= seconds;
      await datastore.entries.create(newEntry({ spiffeId: id('b') }));
      const { events, missed } = await datastore.entries.eventsAfter(at);
      expect(missed).toBe(false);
      expect(events.map(({ sequence, kind }) => [sequence, kind])).toEqual([
        [2, 'updated'],
        [3, 'created'],
      ]);
    },
  );

  test('a day ahead may prune events that a reader has not seen: it is told to read anew', async () => {
    await datastore.entries.create(newEntry({ spiffeId: id('a') }));
    const at = await datastore.entries.latestEvent();
    for (const name of ['b', 'c']) await datastore.entries.create(newEntry({ spiffeId: id(name) }));
    database.clock.seconds += DAY;
    await datastore.entries.pruneEvents(3600);
    database.clock.seconds -= DAY;
    expect(await datastore.entries.eventsAfter(at)).toMatchObject({ missed: true });
    await datastore.entries.create(newEntry({ spiffeId: id('d') }));
    expect(await datastore.entries.eventsAfter(at)).toMatchObject({ missed: true });
    expect(await datastore.entries.eventsAfter(3)).toMatchObject({ missed: false, events: [{ sequence: 4 }] });
  });

  test('a day back keeps agents, whatever their SVIDs say', async () => {
    const now = database.clock.seconds;
    await datastore.agents.create(newAgent({ expiresAt: now + 3600 }));
    database.clock.seconds -= DAY;
    expect(await datastore.agents.prune({ expiredBefore: database.clock.seconds })).toEqual([]);
    await datastore.agents.recordSeen(newAgent().spiffeId);
    expect((await datastore.agents.get(newAgent().spiffeId)).lastSeenAt).toBe(now - DAY);
  });
});
