import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Datastore, openDatastore } from '../../src/datastore/datastore.ts';
import { PostgresServer } from '../harness/postgres-server.ts';
import { bundleOf, id, jwtAuthority, newAgent, newEntry, TRUST_DOMAIN } from './fixtures.ts';

let postgres: PostgresServer;
let schemas = 0;
let schema: string;
let stack: AsyncDisposableStack;

beforeAll(async () => {
  postgres = await PostgresServer.start({ settings: ['fsync = off'] });
}, 60_000);
afterAll(() => postgres[Symbol.asyncDispose]());
beforeEach(async () => {
  schema = `shared_${++schemas}`;
  await postgres.query(`create schema ${schema}`);
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

async function open(changes = {}): Promise<Datastore> {
  return stack.use(await openDatastore({ postgres: postgres.config(changes, { search_path: schema }) }));
}

describe('servers that start at once', () => {
  test('on an empty database migrate it once', async () => {
    const opened = await Promise.all([open(), open(), open(), open()]);
    await opened[0]?.entries.create(newEntry());
    expect(await Promise.all(opened.map((datastore) => datastore.entries.count()))).toEqual([1, 1, 1, 1]);
    const names = await postgres.query<{ name: string }>(`select name from ${schema}.schema_migration order by name`);
    expect(new Set(names.map(({ name }) => name)).size).toBe(names.length);
  });
});

describe('changes of another server', () => {
  test.each<readonly [string, (one: Datastore) => Promise<unknown>]>([
    ['entry', ({ entries }) => entries.create(newEntry())],
    ['agent', ({ agents }) => agents.create(newAgent())],
    ['bundle', ({ bundles }) => bundles.append(bundleOf('example.org', [], [jwtAuthority('a')]))],
    [
      'authority',
      ({ caJournal }) => caJournal.set({ name: 'n', activeX509AuthorityId: '', data: new Uint8Array(), version: 0 }),
    ],
  ])('of the log "%s" are heard once, within a second', async (log, change) => {
    const [one, other] = [await open(), await open()];
    const heard: string[] = [];
    const own: string[] = [];
    other.changes.subscribe((it) => heard.push(it.log));
    one.changes.subscribe((it) => own.push(it.log));
    await change(one);
    expect(own).toEqual([log]);
    await expect.poll(() => heard, { timeout: 1_000, interval: 10 }).toEqual([log]);
    await one.entries.create(newEntry({ id: 'last', spiffeId: id('last') })); // and no second one before this
    await expect.poll(() => heard.length).toBe(2);
    expect([heard, own]).toEqual([
      [log, 'entry'],
      [log, 'entry'],
    ]);
  });

  test('that nobody notifies of are found by looking', async () => {
    const datastore = await open();
    const heard: string[] = [];
    datastore.changes.subscribe((it) => heard.push(it.log));
    await postgres.query(`update ${schema}.change_log set last_sequence = last_sequence + 1 where name = 'bundle'`);
    await expect.poll(() => heard).toEqual(['bundle']);
  });

  test('that take the database back to an earlier state are found too', async () => {
    const datastore = await open();
    for (const name of ['a', 'b', 'c']) await datastore.entries.create(newEntry({ id: name, spiffeId: id(name) }));
    const heard = new Set<string>();
    datastore.changes.subscribe((it) => heard.add(it.log));
    await postgres.query(`update ${schema}.change_log set last_sequence = 1 where name = 'entry'`);
    await expect.poll(() => heard.has('entry')).toBe(true);
    expect(await datastore.entries.eventsAfter(3)).toMatchObject({ missed: true });
  });

  test.each(['', 'entry', 'entry=', 'entry=-1', 'entry=9e9', 'ENTRY=1', 'entry=1'.repeat(100), '\u{1f511}=1'])(
    'a notification %j that is none of ours harms nothing',
    async (payload) => {
      const [one, other] = [await open(), await open()];
      const heard: string[] = [];
      other.changes.subscribe((it) => heard.push(it.log));
      const [oid] = await postgres.query<{ oid: string }>(`select '${schema}'::regnamespace::oid::text as oid`);
      await postgres.query(`select pg_notify('assayer_${oid?.oid}', '${payload}')`);
      await one.entries.create(newEntry());
      await expect.poll(() => heard).toEqual(['entry']);
    },
  );

  test('of another schema of the database are not heard', async () => {
    const datastore = await open();
    const heard: string[] = [];
    datastore.changes.subscribe((it) => heard.push(it.log));
    await postgres.query(`create schema ${schema}_else`);
    const config = postgres.config({}, { search_path: `${schema}_else` });
    await using elsewhere = await openDatastore({ postgres: config });
    for (const name of ['a', 'b', 'c']) await elsewhere.entries.create(newEntry({ spiffeId: id(name) }));
    await datastore.agents.create(newAgent());
    await expect.poll(() => heard).toEqual(['agent']);
    await expect.poll(() => [datastore.leads, elsewhere.leads]).toEqual([true, true]);
  });
});

describe('events', () => {
  test('of transactions that end in another order than they began have no gap, and no reader skips one', async () => {
    const servers = await Promise.all([open(), open(), open()]);
    const reader = await open();
    const seen: string[] = [];
    let at = 0;
    let isDone = false;
    const reading = (async () => {
      for (let isLast = false; ; isLast = isDone) {
        const { events, missed } = await reader.entries.eventsAfter(at);
        expect(missed).toBe(false);
        for (const event of events) {
          expect(event.sequence).toBe(at + 1);
          at = event.sequence;
          seen.push(event.key);
        }
        if (isLast) return;
      }
    })();
    const writing = servers.map(async (server, s) => {
      for (let n = 0; n < 40; n += 1) {
        const name = `${s}-${n}`;
        if (n % 4 === 0) {
          await server.transaction(async ({ entries }) => {
            await entries.create(newEntry({ id: name, spiffeId: id(name) }));
            await new Promise((resolve) => setTimeout(resolve, n % 8)); // others begin, and wait or end meanwhile
            await entries.update(name, { hint: 'h' });
          });
        } else {
          await server.entries.createMany([newEntry({ id: name, spiffeId: id(name) })]);
        }
      }
    });
    await Promise.all(writing);
    isDone = true;
    await reading;
    const ids = servers.flatMap((_, s) => Array.from({ length: 40 }, (_unused, n) => `${s}-${n}`));
    expect(new Set(seen)).toEqual(new Set(ids));
    expect(seen).toHaveLength(3 * (40 + 10));
  });
});

describe('two at once', () => {
  test('one join token: one server gets it', async () => {
    const servers = await Promise.all([open(), open()]);
    for (let round = 0; round < 20; round += 1) {
      await servers[0]?.joinTokens.create({ token: `t${round}`, expiresAt: 5 });
      const calls = [...servers, ...servers].map(({ joinTokens }) => joinTokens.consume(`t${round}`));
      const outcomes = (await Promise.allSettled(calls)).map(({ status }) => status);
      expect(outcomes.filter((status) => status === 'fulfilled')).toHaveLength(1);
    }
  });

  test('the same entries, in any order: each is created once and nobody fails', async () => {
    const servers = await Promise.all([open(), open(), open()]);
    const wanted = Array.from({ length: 30 }, (_, n) => newEntry({ spiffeId: id(`w/${n}`) }));
    const orders = [wanted, wanted.toReversed(), wanted.toSorted(() => Math.random() - 0.5)];
    const results = await Promise.all(servers.map(({ entries }, n) => entries.createMany(orders[n] ?? [])));
    expect(results.flat().filter(({ created }) => created)).toHaveLength(30);
    expect(await servers[0]?.entries.latestEvent()).toBe(30);
  });

  test('authorities of several servers are all in the bundle', async () => {
    const servers = await Promise.all([open(), open(), open()]);
    const names = servers.flatMap((_, s) => Array.from({ length: 10 }, (_unused, n) => `${s}-${n}`));
    await Promise.all(
      servers.map(async ({ bundles }, s) => {
        for (let n = 0; n < 10; n += 1) await bundles.append(bundleOf('example.org', [], [jwtAuthority(`${s}-${n}`)]));
      }),
    );
    const bundle = await servers[0]?.bundles.get(TRUST_DOMAIN);
    expect(bundle?.jwtAuthorities.map(({ keyId }) => keyId).sort()).toEqual(names.sort());
    expect(bundle?.sequenceNumber).toBe(29n);
  });

  test('an entry is deleted by one of two', async () => {
    const servers = await Promise.all([open(), open()]);
    await servers[0]?.entries.create(newEntry({ id: 'a' }));
    const outcomes = await Promise.allSettled(servers.map(({ entries }) => entries.delete('a')));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(outcomes).toContainEqual({
      status: 'rejected',
      reason: expect.objectContaining({ code: 'ENTRY_NOT_FOUND' }),
    });
    expect(await servers[0]?.entries.latestEvent()).toBe(2);
  });

  test('a bundle goes as an entry comes to federate with it: never the one without the other', async () => {
    const [one, other] = [await open(), await open()];
    const entry = newEntry({ federatesWith: [bundleOf('alpha.test').trustDomain] });
    for (let round = 0; round < 15; round += 1) {
      await one.bundles.set(bundleOf('alpha.test'));
      const outcomes = await Promise.allSettled([
        one.bundles.delete(bundleOf('alpha.test').trustDomain, 'dissociate'),
        other.entries.create({ ...entry, spiffeId: id(`round/${round}`) }),
      ]);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'FAILED_PRECONDITION' });
      }
      const federated = await one.entries.list({});
      const bundles = (await one.bundles.list()).items.length;
      expect(federated.items.some(({ federatesWith }) => federatesWith.length > 0)).toBe(
        bundles > 0 && outcomes[1]?.status === 'fulfilled',
      );
      await one.bundles.set(bundleOf('alpha.test'));
      await one.bundles.delete(bundleOf('alpha.test').trustDomain, 'dissociate');
    }
  });
});

describe('of several servers', () => {
  test('one leads, and when it ends another one does', async () => {
    const servers = [await open(), await open(), await open()];
    const leading = () => servers.filter(({ leads }) => leads);
    await expect.poll(() => leading().length).toBe(1);
    for (const left of [2, 1]) {
      const [leader] = leading();
      if (leader === undefined) throw new Error('nobody leads');
      servers.splice(servers.indexOf(leader), 1);
      await leader[Symbol.asyncDispose]();
      expect(servers).toHaveLength(left);
      await expect.poll(() => leading().length).toBe(1);
    }
  });
});
