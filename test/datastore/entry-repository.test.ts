import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Datastore } from '../../src/datastore/datastore.ts';
import type { EntryFilter } from '../../src/datastore/entry-filter.ts';
import type { EntryChanges } from '../../src/datastore/entry-repository.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { engines, type TestDatabase } from './engines.ts';
import { bundleOf, id, newEntry, selectors } from './fixtures.ts';

const ALPHA = parseTrustDomain('alpha.test');
const BETA = parseTrustDomain('beta.test');

describe.each(engines)('entries on $name', (engine) => {
  let database: TestDatabase;
  let datastore: Datastore;
  beforeEach(async () => {
    database = await engine.create();
    datastore = await database.open();
    await datastore.bundles.create(bundleOf(ALPHA));
    await datastore.bundles.create(bundleOf(BETA));
  });
  afterEach(() => database[Symbol.asyncDispose]());

  describe('create', () => {
    test('stores every field and gives an ID, revision 0 and the time', async () => {
      const wanted = newEntry({
        selectors: selectors('unix:uid:0', 'docker:label:a:b'),
        x509SvidTtlSeconds: 60,
        jwtSvidTtlSeconds: 30,
        federatesWith: [BETA, ALPHA],
        admin: true,
        downstream: true,
        storeSvid: true,
        dnsNames: ['b.example.org', 'a.example.org'],
        expiresAt: 4_000_000_000,
        hint: 'internal',
        jwtSvidIncludeJti: true,
        disableX509SvidPrefetch: true,
      });
      const { entry, created } = await datastore.entries.create(wanted);
      expect(created).toBe(true);
      expect(entry.id).toMatch(/^[0-9a-f-]{36}$/);
      expect(entry).toEqual({ ...wanted, id: entry.id, revisionNumber: 0, createdAt: database.clock.seconds });
      expect(await datastore.entries.get(entry.id)).toEqual(entry);
    });

    test('keeps a given ID', async () => {
      await datastore.entries.create(newEntry({ id: 'my-entry' }));
      expect((await datastore.entries.get('my-entry')).spiffeId).toBe(id('workload'));
    });

    test('returns the entry with the same parent ID, SPIFFE ID and selector set', async () => {
      const first = await datastore.entries.create(newEntry({ selectors: selectors('a:1', 'b:2'), hint: 'first' }));
      const second = await datastore.entries.create(newEntry({ selectors: selectors('b:2', 'a:1'), hint: 'second' }));
      expect(second).toEqual({ entry: first.entry, created: false });
      expect(await datastore.entries.count()).toBe(1);
      expect(await datastore.entries.latestEvent()).toBe(1);
    });

    test.each([
      ['parent ID', newEntry({ parentId: id('other') })],
      ['SPIFFE ID', newEntry({ spiffeId: id('other') })],
      ['fewer selectors', newEntry({ selectors: selectors('a:1') })],
      ['more selectors', newEntry({ selectors: selectors('a:1', 'b:2', 'c:3') })],
      ['selectors split elsewhere', newEntry({ selectors: selectors('a:1', 'b:2,c:3') })],
    ])('an entry with other %s is another entry', async (_what, other) => {
      await datastore.entries.create(newEntry({ selectors: selectors('a:1', 'b:2') }));
      expect(await datastore.entries.create(other)).toMatchObject({ created: true });
    });

    test('refuses the ID of another entry', async () => {
      await datastore.entries.create(newEntry({ id: 'mine' }));
      await expect(datastore.entries.create(newEntry({ id: 'mine', spiffeId: id('other') }))).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
      });
      expect(await datastore.entries.count()).toBe(1);
    });

    test('refuses to federate with a trust domain without a bundle', async () => {
      const entry = newEntry({ federatesWith: [ALPHA, parseTrustDomain('unknown.test')] });
      await expect(datastore.entries.create(entry)).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringContaining('"unknown.test" has no bundle'),
      });
    });

    test('counts a repeated selector or trust domain once', async () => {
      const { entry } = await datastore.entries.create(
        newEntry({ selectors: selectors('a:1', 'a:1'), federatesWith: [ALPHA, ALPHA] }),
      );
      expect(entry).toMatchObject({ selectors: selectors('a:1'), federatesWith: [ALPHA] });
      expect(await datastore.entries.get(entry.id)).toEqual(entry);
    });

    test('many at once: new, there already, and repeated in the list', async () => {
      const { entry: old } = await datastore.entries.create(newEntry({ spiffeId: id('old') }));
      const created = await datastore.entries.createMany([
        newEntry({ spiffeId: id('new') }),
        newEntry({ spiffeId: id('old'), hint: 'again' }),
        newEntry({ spiffeId: id('new'), hint: 'twice' }),
      ]);
      expect(created.map((it) => [it.created, it.entry.spiffeId, it.entry.hint])).toEqual([
        [true, id('new'), ''],
        [false, id('old'), ''],
        [false, id('new'), ''],
      ]);
      expect(created[1]?.entry).toEqual(old);
      expect(created[2]?.entry).toEqual(created[0]?.entry);
    });

    test('many at once are all or none', async () => {
      await datastore.entries.create(newEntry({ id: 'taken' }));
      const entries = [newEntry({ spiffeId: id('a') }), newEntry({ id: 'taken', spiffeId: id('b') })];
      await expect(datastore.entries.createMany(entries)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
      expect(await datastore.entries.count()).toBe(1);
    });

    test('1,000 come in batches of 100', async () => {
      for (let batch = 0; batch < 10; batch++) {
        const entries = Array.from({ length: 100 }, (_, n) => newEntry({ spiffeId: id(`w/${batch}/${n}`) }));
        await datastore.entries.createMany(entries);
      }
      expect(await datastore.entries.count()).toBe(1000);
    });
  });

  describe('update', () => {
    const changes: readonly (readonly [string, EntryChanges])[] = [
      ['parent ID', { parentId: id('other') }],
      ['SPIFFE ID', { spiffeId: id('other') }],
      ['selectors', { selectors: selectors('unix:gid:5', 'unix:uid:5') }],
      ['X.509-SVID TTL', { x509SvidTtlSeconds: 5 }],
      ['JWT-SVID TTL', { jwtSvidTtlSeconds: 5 }],
      ['federation', { federatesWith: [BETA] }],
      ['no federation', { federatesWith: [] }],
      ['admin', { admin: true }],
      ['downstream', { downstream: true }],
      ['storing', { storeSvid: true }],
      ['DNS names', { dnsNames: ['z.example.org', 'y.example.org'] }],
      ['expiry', { expiresAt: 4_000_000_000 }],
      ['hint', { hint: 'new' }],
      ['JWT ID', { jwtSvidIncludeJti: true }],
      ['prefetch', { disableX509SvidPrefetch: true }],
      ['nothing', {}],
    ];
    test.each(changes)('replaces %s alone, and raises the revision', async (_what, change) => {
      const { entry } = await datastore.entries.create(newEntry({ federatesWith: [ALPHA], dnsNames: ['a.test'] }));
      database.clock.seconds += 100;
      const updated = await datastore.entries.update(entry.id, change);
      expect(updated).toEqual({ ...entry, ...change, revisionNumber: 1 });
      expect(await datastore.entries.get(entry.id)).toEqual(updated);
    });

    test('frees the former identity', async () => {
      const { entry } = await datastore.entries.create(newEntry());
      await datastore.entries.update(entry.id, { selectors: selectors('a:1') });
      expect((await datastore.entries.create(newEntry())).created).toBe(true);
      expect((await datastore.entries.create(newEntry({ selectors: selectors('a:1') }))).entry.id).toBe(entry.id);
    });

    test('refuses the identity of another entry, and changes nothing', async () => {
      await datastore.entries.create(newEntry({ spiffeId: id('a') }));
      const { entry } = await datastore.entries.create(newEntry({ spiffeId: id('b') }));
      await expect(datastore.entries.update(entry.id, { spiffeId: id('a') })).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
      });
      expect(await datastore.entries.get(entry.id)).toEqual(entry);
    });

    test('refuses to federate with a trust domain without a bundle', async () => {
      const { entry } = await datastore.entries.create(newEntry());
      const change = { federatesWith: [parseTrustDomain('unknown.test')] };
      await expect(datastore.entries.update(entry.id, change)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      expect(await datastore.entries.get(entry.id)).toEqual(entry);
    });
  });

  test.each(['get', 'delete'] as const)('%s refuses an unknown ID', async (method) => {
    await expect(datastore.entries[method]('none')).rejects.toMatchObject({
      code: 'ENTRY_NOT_FOUND',
      message: 'no registration entry "none"',
    });
  });

  test('update refuses an unknown ID', async () => {
    await expect(datastore.entries.update('none', {})).rejects.toMatchObject({ code: 'ENTRY_NOT_FOUND' });
  });

  test('delete returns the entry and takes all of it away', async () => {
    const { entry } = await datastore.entries.create(newEntry({ federatesWith: [ALPHA], dnsNames: ['a.test'] }));
    expect(await datastore.entries.delete(entry.id)).toEqual(entry);
    expect(await datastore.entries.find(entry.id)).toBeUndefined();
    expect((await datastore.entries.create({ ...entry, federatesWith: [], dnsNames: [] })).entry).toMatchObject({
      federatesWith: [],
      dnsNames: [],
    });
  });

  test('prune deletes what expired, never what has no expiry', async () => {
    const now = database.clock.seconds;
    await datastore.entries.create(newEntry({ id: 'never' }));
    await datastore.entries.create(newEntry({ id: 'past', spiffeId: id('a'), expiresAt: now - 1 }));
    await datastore.entries.create(newEntry({ id: 'now', spiffeId: id('b'), expiresAt: now }));
    expect((await datastore.entries.pruneExpired()).map((entry) => entry.id)).toEqual(['past']);
    database.clock.seconds += 1;
    expect((await datastore.entries.pruneExpired()).map((entry) => entry.id)).toEqual(['now']);
    expect((await datastore.entries.list()).items.map((entry) => entry.id)).toEqual(['never']);
  });

  describe('list and count', () => {
    beforeEach(async () => {
      await datastore.entries.createMany([
        newEntry({ id: '1', selectors: selectors('a:1'), federatesWith: [ALPHA], hint: 'x' }),
        newEntry({ id: '2', selectors: selectors('a:1', 'b:2'), federatesWith: [ALPHA, BETA], downstream: true }),
        newEntry({ id: '3', selectors: selectors('a:1', 'b:2', 'c:3'), spiffeId: id('other') }),
        newEntry({ id: '4', selectors: selectors('b:2'), parentId: id('other'), federatesWith: [BETA] }),
        newEntry({ id: '5', selectors: selectors('a:2'), hint: 'x', parentId: id('other') }),
      ]);
    });

    const ab = selectors('a:1', 'b:2');
    const filters: readonly (readonly [string, EntryFilter, string])[] = [
      ['nothing', {}, '12345'],
      ['parent ID', { parentId: id('other') }, '45'],
      ['SPIFFE ID', { spiffeId: id('other') }, '3'],
      ['hint', { hint: 'x' }, '15'],
      ['an empty hint', { hint: '' }, '234'],
      ['downstream', { downstream: true }, '2'],
      ['not downstream', { downstream: false }, '1345'],
      ['selectors, exact', { selectors: { match: 'exact', selectors: ab } }, '2'],
      ['selectors, subset', { selectors: { match: 'subset', selectors: ab } }, '124'],
      ['selectors, superset', { selectors: { match: 'superset', selectors: ab } }, '23'],
      ['selectors, any', { selectors: { match: 'any', selectors: ab } }, '1234'],
      ['repeated selectors', { selectors: { match: 'exact', selectors: [...ab, ...ab] } }, '2'],
      ['type of one and value of another', { selectors: { match: 'any', selectors: selectors('b:1', 'c:2') } }, ''],
      ['federation, exact', { federatesWith: { match: 'exact', trustDomains: [ALPHA] } }, '1'],
      ['federation, subset', { federatesWith: { match: 'subset', trustDomains: [ALPHA] } }, '1'],
      ['federation, superset', { federatesWith: { match: 'superset', trustDomains: [ALPHA] } }, '12'],
      ['federation, any', { federatesWith: { match: 'any', trustDomains: [ALPHA, BETA] } }, '124'],
      [
        'all conditions together',
        { parentId: id('other'), hint: 'x', selectors: { match: 'any', selectors: selectors('a:2') } },
        '5',
      ],
    ];
    test.each(filters)('by %s', async (_what, filter, ids) => {
      const { items, nextPageToken } = await datastore.entries.list(filter);
      expect(items.map((entry) => entry.id).join('')).toBe(ids);
      expect(nextPageToken).toBe('');
      expect(await datastore.entries.count(filter)).toBe(ids.length);
    });

    test('lists whole entries', async () => {
      const { items } = await datastore.entries.list({ spiffeId: id('other') });
      expect(items).toEqual([await datastore.entries.get('3')]);
    });

    test('refuses an empty set', async () => {
      const filter: EntryFilter = { selectors: { match: 'any', selectors: [] } };
      await expect(datastore.entries.list(filter)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    });

    test('takes a set of 5,000 and refuses a larger one', async () => {
      const many = Array.from({ length: 5000 }, (_, n) => ({ type: 'a', value: String(n) }));
      expect(await datastore.entries.count({ selectors: { match: 'subset', selectors: many } })).toBe(2);
      const more = { match: 'subset', selectors: [...many, { type: 'b', value: '2' }] } as const;
      await expect(datastore.entries.count({ selectors: more })).rejects.toMatchObject({ code: 'TOO_LARGE' });
    });

    test('finds many by ID', async () => {
      const found = await datastore.entries.findMany(['5', 'none', '2']);
      expect(found.map((entry) => entry.id).sort()).toEqual(['2', '5']);
      expect(await datastore.entries.findMany([])).toEqual([]);
    });
  });

  describe('pages', () => {
    test('each entry comes once, in order, and the last page has no token', async () => {
      const ids = Array.from({ length: 7 }, (_, n) => `entry-${n}`);
      await datastore.entries.createMany(ids.map((it) => newEntry({ id: it, spiffeId: id(it) })));
      const pages: string[][] = [];
      for (let token = ''; ; ) {
        const page = await datastore.entries.list({}, { size: 3, token });
        pages.push(page.items.map((entry) => entry.id));
        token = page.nextPageToken;
        if (token === '') break;
      }
      expect(pages).toEqual([ids.slice(0, 3), ids.slice(3, 6), ids.slice(6)]);
    });

    test('a full last page has no token', async () => {
      await datastore.entries.createMany([newEntry(), newEntry({ spiffeId: id('b') })]);
      expect(await datastore.entries.list({}, { size: 2 })).toMatchObject({ nextPageToken: '' });
    });

    test('what comes and goes between pages neither repeats nor hides another', async () => {
      await datastore.entries.createMany(['b', 'd', 'f', 'h'].map((it) => newEntry({ id: it, spiffeId: id(it) })));
      const first = await datastore.entries.list({}, { size: 2 });
      expect(first.items.map((entry) => entry.id)).toEqual(['b', 'd']);
      await datastore.entries.delete('d');
      await datastore.entries.createMany(['a', 'c', 'e'].map((it) => newEntry({ id: it, spiffeId: id(it) })));
      const second = await datastore.entries.list({}, { size: 10, token: first.nextPageToken });
      expect(second.items.map((entry) => entry.id)).toEqual(['e', 'f', 'h']);
    });

    test('a list without pages is whole, however long', async () => {
      const entries = Array.from({ length: 2500 }, (_, n) => newEntry({ spiffeId: id(`w/${n}`) }));
      await datastore.entries.createMany(entries);
      const { items } = await datastore.entries.list();
      expect(new Set(items.map((entry) => entry.spiffeId)).size).toBe(2500);
      expect(items.every((entry) => entry.selectors.length === 1)).toBe(true);
    });

    test.each([0, -1, 1.5, Number.NaN])('refuses size %s', async (size) => {
      await expect(datastore.entries.list({}, { size })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    });

    test.each(['%', 'a', 'AA==', Buffer.from('a\0').toString('base64url'), 'A'.repeat(5000)])(
      'refuses token %s',
      async (token) => {
        await expect(datastore.entries.list({}, { size: 1, token })).rejects.toMatchObject({
          code: 'ARGUMENT_INVALID',
        });
      },
    );
  });

  describe('events', () => {
    test('tell each change in order, without a gap', async () => {
      expect(await datastore.entries.latestEvent()).toBe(0);
      await datastore.entries.createMany([newEntry({ id: 'a' }), newEntry({ id: 'b', spiffeId: id('b') })]);
      await datastore.entries.update('a', { hint: 'x' });
      database.clock.seconds += 10;
      await datastore.entries.delete('b');
      const { events, missed } = await datastore.entries.eventsAfter(0);
      const at = database.clock.seconds - 10;
      expect(events).toEqual([
        { sequence: 1, kind: 'created', key: 'a', at },
        { sequence: 2, kind: 'created', key: 'b', at },
        { sequence: 3, kind: 'updated', key: 'a', at },
        { sequence: 4, kind: 'deleted', key: 'b', at: at + 10 },
      ]);
      expect(missed).toBe(false);
      expect(await datastore.entries.latestEvent()).toBe(4);
      expect(await datastore.agents.latestEvent()).toBe(0);
    });

    test('are read in pages from anywhere', async () => {
      const entries = Array.from({ length: 5 }, (_, n) => newEntry({ spiffeId: id(`w/${n}`) }));
      await datastore.entries.createMany(entries);
      const { events, missed } = await datastore.entries.eventsAfter(2, 2);
      expect(events.map((event) => event.sequence)).toEqual([3, 4]);
      expect(missed).toBe(false);
      expect(await datastore.entries.eventsAfter(5)).toEqual({ events: [], missed: false });
    });

    test('tell a follower that it missed pruned ones', async () => {
      await datastore.entries.create(newEntry({ id: 'a' }));
      database.clock.seconds += 100;
      await datastore.entries.update('a', {});
      expect(await datastore.entries.pruneEvents(50)).toBe(1);
      expect(await datastore.entries.eventsAfter(0)).toMatchObject({ missed: true });
      expect(await datastore.entries.eventsAfter(1)).toMatchObject({ missed: false, events: [{ sequence: 2 }] });
      database.clock.seconds += 100;
      expect(await datastore.entries.pruneEvents(50)).toBe(1);
      expect(await datastore.entries.eventsAfter(1)).toEqual({ events: [], missed: true });
      expect(await datastore.entries.eventsAfter(2)).toEqual({ events: [], missed: false });
      expect(await datastore.entries.eventsAfter(3)).toEqual({ events: [], missed: true });
      await datastore.entries.delete('a');
      expect(await datastore.entries.eventsAfter(2)).toMatchObject({ missed: false, events: [{ sequence: 3 }] });
    });

    test('are not left by a change that failed', async () => {
      await datastore.entries.create(newEntry({ id: 'a' }));
      await expect(datastore.entries.create(newEntry({ id: 'a', spiffeId: id('b') }))).rejects.toThrow();
      expect(await datastore.entries.latestEvent()).toBe(1);
    });
  });
});
