import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Datastore } from '../../src/datastore/datastore.ts';
import { engines, type TestDatabase } from './engines.ts';
import { bundleOf, id, jwtAuthority, newAgent, newEntry, selectors, TRUST_DOMAIN } from './fixtures.ts';

describe.each(engines)('changes on $name', (engine) => {
  let database: TestDatabase;
  let datastore: Datastore;
  let heard: string[];
  beforeEach(async () => {
    database = await engine.create();
    datastore = await database.open();
    heard = [];
    datastore.changes.subscribe(({ log }) => heard.push(log));
  });
  afterEach(() => database[Symbol.asyncDispose]());

  const NODE = id('spire/agent/tpm/node');
  const journal = { name: 'n', activeX509AuthorityId: '', data: new Uint8Array(), version: 0 };

  test.each<readonly [string, (datastore: Datastore) => Promise<unknown>, readonly string[]]>([
    ['an entry is created', ({ entries }) => entries.create(newEntry({ id: 'b', spiffeId: id('b') })), ['entry']],
    ['an entry is there already', ({ entries }) => entries.create(newEntry()), []],
    ['an entry is updated', ({ entries }) => entries.update('a', { hint: 'h' }), ['entry']],
    ['an entry is deleted', ({ entries }) => entries.delete('a'), ['entry']],
    ['no entry is pruned', ({ entries }) => entries.pruneExpired(), []],
    ['an agent is created', ({ agents }) => agents.create(newAgent({ spiffeId: id('spire/agent/b') })), ['agent']],
    ['an agent gets selectors', ({ agents }) => agents.setSelectors(NODE, selectors('a:1')), ['agent']],
    ['an agent is banned', ({ agents }) => agents.ban(NODE), ['agent']],
    ['an agent is deleted', ({ agents }) => agents.delete(NODE), ['agent']],
    ['an agent is seen', ({ agents }) => agents.recordSeen(NODE), []],
    ['a bundle is set', ({ bundles }) => bundles.set(bundleOf('example.org', [], [jwtAuthority('b')])), ['bundle']],
    ['a bundle is created', ({ bundles }) => bundles.create(bundleOf('alpha.test')), ['bundle']],
    [
      'a bundle gets an authority',
      ({ bundles }) => bundles.append(bundleOf('example.org', [], [jwtAuthority('b')])),
      ['bundle'],
    ],
    [
      'a bundle gets what it has',
      ({ bundles }) => bundles.append(bundleOf('example.org', [], [jwtAuthority('a')])),
      [],
    ],
    ['an authority is tainted', ({ bundles }) => bundles.taintJwtAuthority(TRUST_DOMAIN, 'a'), ['bundle']],
    ['a bundle is deleted', ({ bundles }) => bundles.delete(TRUST_DOMAIN), ['bundle']],
    ['a journal is written', ({ caJournal }) => caJournal.set({ ...journal, name: 'm' }), ['authority']],
    ['a journal is deleted', ({ caJournal }) => caJournal.delete('n'), ['authority']],
    [
      'one transaction changes several',
      (it) =>
        it.transaction(async ({ entries, agents }) => {
          await entries.delete('a');
          await agents.delete(NODE);
          await entries.create(newEntry());
        }),
      ['entry', 'agent'],
    ],
  ])('are told when %s', async (_what, change, expected) => {
    await datastore.entries.create(newEntry({ id: 'a' }));
    await datastore.agents.create(newAgent());
    await datastore.bundles.create(bundleOf('example.org', [], [jwtAuthority('a')]));
    await datastore.caJournal.set(journal);
    heard.length = 0;
    await change(datastore);
    expect(heard).toEqual(expected);
  });

  test('are told after they are stored, and not of what failed', async () => {
    const seen: Promise<number>[] = [];
    datastore.changes.subscribe(() => seen.push(datastore.entries.count()));
    await datastore.transaction(async ({ entries }) => {
      await entries.create(newEntry());
      expect(heard).toEqual([]);
      await entries.create(newEntry({ spiffeId: id('b') }));
    });
    expect(await Promise.all(seen)).toEqual([2]);
    const failing = datastore.transaction(async ({ entries }) => {
      await entries.create(newEntry({ spiffeId: id('c') }));
      throw new Error('on purpose');
    });
    await expect(failing).rejects.toThrow('on purpose');
    expect(heard).toEqual(['entry']);
  });

  test('a listener that throws harms neither the change nor the next listener, and one that left hears nothing', async () => {
    const leave = datastore.changes.subscribe(() => {
      throw new Error('on purpose');
    });
    let later = 0;
    datastore.changes.subscribe(() => {
      later += 1;
    });
    await datastore.entries.create(newEntry());
    leave();
    await datastore.entries.create(newEntry({ spiffeId: id('b') }));
    expect([heard.length, later]).toEqual([2, 2]);
  });
});
