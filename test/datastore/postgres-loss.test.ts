import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Datastore, openDatastore } from '../../src/datastore/datastore.ts';
import { isSpiffeError } from '../../src/spiffe/error.ts';
import { PostgresServer } from '../harness/postgres-server.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import { id, newAgent, newEntry } from './fixtures.ts';

const SOON = { timeout: 30_000, interval: 50 };
let postgres: PostgresServer;
let databases = 0;
let database: string;
let datastore: Datastore;
let lines: string[];

beforeAll(async () => {
  postgres = await PostgresServer.start({ settings: ['fsync = off'] }); // its processes end, the machine does not
}, 60_000);
afterAll(() => postgres[Symbol.asyncDispose]());
beforeEach(async () => {
  database = `test_${++databases}`;
  await sql(`create database ${database}`, 'postgres');
  lines = [];
  const write = (message: string) => lines.push(message);
  const config = postgres.config();
  datastore = await openDatastore({
    postgres: { ...config, connection: { ...config.connection, database } },
    log: { info: write, warning: write, error: write },
  });
});
afterEach(() => datastore[Symbol.asyncDispose]());

const sql = (text: string, where = database) => postgres.query(text, where);

/** Calls of one kind, over and over, until they are stopped; those that went well and those that did not. */
function load(call: (n: number) => Promise<unknown>) {
  const ok: number[] = [];
  const failures: unknown[] = [];
  let isStopped = false;
  let count = 0;
  const workers = Array.from({ length: 6 }, async () => {
    while (!isStopped) {
      const n = ++count;
      await call(n).then(
        () => ok.push(n),
        (error: unknown) => failures.push(error),
      );
    }
  });
  return {
    ok,
    failures,
    stop: async () => {
      isStopped = true;
      await Promise.all(workers);
    },
  };
}

describe('PostgreSQL goes away under load', () => {
  test.each(['fast', 'immediate'] as const)(
    'stopped "%s" and started again: what was confirmed is there, calls fail as UNAVAILABLE or wait, and all goes on',
    async (mode) => {
      const heard: string[] = [];
      datastore.changes.subscribe(({ log }) => heard.push(log));
      const writing = load((n) => datastore.entries.create(newEntry({ id: `w${n}`, spiffeId: id(`w/${n}`) })));
      const reading = load(() => datastore.entries.count());
      const working = load((n) =>
        datastore.transaction(async ({ entries, agents }) => {
          await agents.count();
          await entries.create(newEntry({ id: `t${n}-a`, spiffeId: id(`t/${n}/a`) }));
          await entries.create(newEntry({ id: `t${n}-b`, spiffeId: id(`t/${n}/b`) }));
        }),
      );
      for (let round = 0; round < 2; round += 1) {
        const before = writing.ok.length;
        await expect.poll(() => writing.ok.length, SOON).toBeGreaterThan(before + 20);
        await postgres.stop(mode);
        await postgres.startAgain();
      }
      const after = [writing.ok.length, reading.ok.length, working.ok.length];
      await expect.poll(() => writing.ok.length, SOON).toBeGreaterThan((after[0] ?? 0) + 20);
      await expect.poll(() => reading.ok.length, SOON).toBeGreaterThan((after[1] ?? 0) + 20);
      await expect.poll(() => working.ok.length, SOON).toBeGreaterThan((after[2] ?? 0) + 5);
      await Promise.all([writing, reading, working].map(({ stop }) => stop()));

      const stored = new Set((await datastore.entries.list()).items.map((entry) => entry.id));
      for (const n of writing.ok) expect(stored).toContain(`w${n}`);
      for (const n of working.ok) expect([stored.has(`t${n}-a`), stored.has(`t${n}-b`)]).toEqual([true, true]);
      for (const entry of stored) {
        if (entry.startsWith('t'))
          expect(stored.has(entry.replace(/.$/, (end) => (end === 'a' ? 'b' : 'a')))).toBe(true);
      }
      for (const error of [...writing.failures, ...reading.failures, ...working.failures]) {
        expect(isSpiffeError(error, 'DATASTORE_UNAVAILABLE'), String(error)).toBe(true);
      }
      const latest = await datastore.entries.latestEvent();
      expect(latest).toBe(stored.size);

      const heardBefore = heard.length;
      await sql("update change_log set last_sequence = last_sequence + 1 where name = 'bundle'");
      await expect.poll(() => heard.slice(heardBefore), SOON).toContain('bundle');
      await expect.poll(() => datastore.leads, SOON).toBe(true);
      expect(lines).toContain('datastore is away: trying again');
      expect(lines).toContain('datastore is back');
    },
    120_000,
  );
});

describe('PostgreSQL is away', () => {
  test('for long: a call waits a few seconds, later ones fail at once, and the next one after its return goes well', async () => {
    await postgres.stop('fast');
    const began = performance.now();
    await expect(datastore.entries.count()).rejects.toMatchObject({
      code: 'DATASTORE_UNAVAILABLE',
      message: 'datastore cannot be reached: call again',
    });
    expect(performance.now() - began).toBeGreaterThan(4_000);
    const late = performance.now();
    await expect(datastore.entries.create(newEntry())).rejects.toMatchObject({ code: 'DATASTORE_UNAVAILABLE' });
    expect(performance.now() - late).toBeLessThan(4_000);
    await postgres.startAgain();
    expect((await datastore.entries.create(newEntry())).created).toBe(true);
  }, 60_000);

  test('for a moment: a call that comes meanwhile waits for it', async () => {
    await postgres.stop('fast');
    const counting = datastore.entries.count();
    await postgres.startAgain();
    expect(await counting).toBe(0);
  }, 60_000);

  test('at the end: the datastore closes all the same', async () => {
    await postgres.stop('immediate');
    await datastore[Symbol.asyncDispose]();
    await expect(datastore.entries.count()).rejects.toThrow();
    await postgres.startAgain();
  }, 60_000);
});

describe('a session that PostgreSQL ends', () => {
  const endAll = () => sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'assayer'");

  test('at rest is replaced unnoticed', async () => {
    await Promise.all(Array.from({ length: 8 }, () => datastore.entries.count()));
    await endAll();
    expect(await Promise.all(Array.from({ length: 8 }, () => datastore.entries.count()))).toEqual(Array(8).fill(0));
    expect((await datastore.entries.create(newEntry())).created).toBe(true);
  });

  test('within a transaction of several steps undoes it, and its work runs once', async () => {
    let runs = 0;
    const work = datastore.transaction(async ({ entries }) => {
      runs += 1;
      await entries.create(newEntry());
      await endAll();
      await entries.create(newEntry({ spiffeId: id('b') }));
    });
    await expect(work).rejects.toMatchObject({ code: 'DATASTORE_UNAVAILABLE' });
    expect(runs).toBe(1);
    expect(await datastore.entries.count()).toBe(0);
  });

  test('as a commit is under way: the caller is told that nobody knows', async () => {
    await sql(`create function strike() returns trigger language plpgsql as $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
      create constraint trigger strike after insert on registration_entry deferrable initially deferred for each row execute function strike()`);
    await expect(datastore.entries.create(newEntry())).rejects.toMatchObject({
      code: 'DATASTORE_UNAVAILABLE',
      message: expect.stringMatching(/whether it is stored is not known/),
    });
    await sql('drop trigger strike on registration_entry');
    expect(await datastore.entries.count()).toBe(0);
    expect((await datastore.entries.create(newEntry())).created).toBe(true);
  });
});

describe('a network that is cut', () => {
  test('is noticed within seconds by whoever follows changes, and others are heard again', async () => {
    await using proxy = await TcpProxy.start(postgres.port);
    const config = postgres.config();
    const { user, password } = postgres;
    const connection = { ...config.connection, host: '127.0.0.1', port: proxy.port, user, password, database };
    const warnings: string[] = [];
    const log = { info: () => {}, warning: (message: string) => warnings.push(message), error: () => {} };
    const tlsMode = 'disable';
    await using far = await openDatastore({ postgres: { ...config, connection: { ...connection, tlsMode } }, log });
    const heard: string[] = [];
    far.changes.subscribe((it) => heard.push(it.log));
    await datastore.entries.create(newEntry());
    await expect.poll(() => heard, SOON).toEqual(['entry']);
    proxy.freeze();
    await datastore.agents.create(newAgent());
    await expect.poll(() => heard, SOON).toEqual(['entry', 'agent']);
    expect(warnings).toEqual(['datastore is away: trying again']);
  }, 60_000);
});
