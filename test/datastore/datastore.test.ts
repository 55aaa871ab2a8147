import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Datastore } from '../../src/datastore/datastore.ts';
import { engines, type TestDatabase } from './engines.ts';
import { bundleOf, id, jwtAuthority, newAgent, newEntry, TRUST_DOMAIN } from './fixtures.ts';

describe.each(engines)('transactions on $name', (engine) => {
  let database: TestDatabase;
  let datastore: Datastore;
  beforeEach(async () => {
    database = await engine.create();
    datastore = await database.open();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  test('store all that was done', async () => {
    const result = await datastore.transaction(async ({ entries, agents }) => {
      await agents.create(newAgent());
      return entries.create(newEntry({ id: 'a' }));
    });
    expect(result.entry.id).toBe('a');
    expect(await datastore.entries.count()).toBe(1);
    expect(await datastore.agents.count()).toBe(1);
  });

  test('store nothing when the work throws', async () => {
    const failure = new Error('on purpose');
    const work = datastore.transaction(async ({ entries, agents, bundles, joinTokens, caJournal }) => {
      await entries.create(newEntry());
      await agents.create(newAgent());
      await bundles.append(bundleOf('example.org'));
      await joinTokens.create({ token: 't', expiresAt: 1 });
      await caJournal.set({ name: 'n', activeX509AuthorityId: '', data: new Uint8Array(), version: 0 });
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    expect(await datastore.entries.count()).toBe(0);
    expect(await datastore.agents.count()).toBe(0);
    expect(await datastore.bundles.count()).toBe(0);
    expect(await datastore.joinTokens.find('t')).toBeUndefined();
    expect(await datastore.caJournal.list()).toEqual([]);
    expect(await datastore.entries.latestEvent()).toBe(0);
  });

  test('go on after a step that failed, without that step', async () => {
    await datastore.transaction(async ({ entries }) => {
      await entries.create(newEntry({ id: 'a' }));
      const failing = entries.createMany([newEntry({ spiffeId: id('b') }), newEntry({ id: 'a', spiffeId: id('c') })]);
      await expect(failing).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
      await entries.create(newEntry({ id: 'd', spiffeId: id('d') }));
    });
    expect((await datastore.entries.list()).items.map((entry) => entry.id)).toEqual(['a', 'd']);
    expect((await datastore.entries.eventsAfter(0)).events.map((event) => event.key)).toEqual(['a', 'd']);
  });

  test('take turns: neither sees the other half done', async () => {
    await datastore.bundles.create(bundleOf('example.org'));
    const add = (keyId: string) =>
      datastore.transaction(async ({ bundles }) => {
        const bundle = await bundles.get(TRUST_DOMAIN);
        await new Promise(setImmediate);
        return bundles.set({ ...bundle, jwtAuthorities: [...bundle.jwtAuthorities, jwtAuthority(keyId)] });
      });
    await Promise.all(['a', 'b', 'c', 'd'].map(add));
    const bundle = await datastore.bundles.get(TRUST_DOMAIN);
    expect(bundle.jwtAuthorities.map(({ keyId }) => keyId).sort()).toEqual(['a', 'b', 'c', 'd']);
    expect(bundle.sequenceNumber).toBe(4n);
  });

  test('a reader outside sees nothing before the end', async () => {
    const started = Promise.withResolvers<void>();
    const writing = datastore.transaction(async ({ entries }) => {
      await entries.create(newEntry());
      started.resolve();
      await new Promise(setImmediate);
      await entries.create(newEntry({ spiffeId: id('b') }));
    });
    await started.promise;
    const seen = await datastore.entries.count();
    await writing;
    expect([0, 2]).toContain(seen);
  });

  test('the same entry at the same time is created once', async () => {
    const results = await Promise.all(Array.from({ length: 20 }, () => datastore.entries.create(newEntry())));
    expect(results.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(results.map(({ entry }) => entry.id)).size).toBe(1);
  });

  test('updates of one entry at the same time all count', async () => {
    await datastore.entries.create(newEntry({ id: 'a' }));
    await Promise.all(Array.from({ length: 20 }, (_, n) => datastore.entries.update('a', { x509SvidTtlSeconds: n })));
    expect((await datastore.entries.get('a')).revisionNumber).toBe(20);
  });

  test('using the datastore itself within is refused rather than waited for', async () => {
    const work = datastore.transaction(() => datastore.entries.count());
    await expect(work).rejects.toMatchObject({ code: 'INTERNAL', message: expect.stringContaining('transaction') });
    expect(await datastore.entries.count()).toBe(0);
  });

  test('closing waits for them, and what they did is there afterwards', async () => {
    const work = datastore.transaction(async ({ entries }) => {
      await entries.create(newEntry());
      await new Promise(setImmediate);
      await entries.create(newEntry({ spiffeId: id('b') }));
    });
    await datastore[Symbol.asyncDispose]();
    await work;
    await datastore[Symbol.asyncDispose]();
    const again = await database.open();
    expect(await again.entries.count()).toBe(2);
  });
});
