import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { datastoreConfig, type PostgresConfig } from '../../src/config/datastore-config.ts';
import { readConfigText } from '../../src/config/read-config.ts';
import { openDatastore } from '../../src/datastore/datastore.ts';
import { PostgresServer } from '../harness/postgres-server.ts';
import { id, newEntry } from './fixtures.ts';

let postgres: PostgresServer;
let databases = 0;
let database: string;

beforeAll(async () => {
  postgres = await PostgresServer.start({ settings: ['fsync = off'] });
}, 60_000);
afterAll(() => postgres[Symbol.asyncDispose]());
beforeEach(async () => {
  database = `test_${++databases}`;
  await postgres.query(`create database ${database}`);
  return () => postgres.query(`drop database ${database} with (force)`);
});

const sql = <Row extends object>(text: string) => postgres.query<Row>(text, database);

function config(changes: Partial<PostgresConfig> = {}, connection: Partial<PostgresConfig['connection']> = {}) {
  const whole = postgres.config(changes);
  return { ...whole, connection: { ...whole.connection, database, ...connection } };
}

/** As an operator writes it. */
function configured(connectionString: string): PostgresConfig {
  const text = `database_type = "postgres"\nconnection_string = ${JSON.stringify(connectionString)}`;
  const read = readConfigText(datastoreConfig, text, { source: 'x', path: 'data' });
  if (read.databaseType !== 'postgres') throw new Error('not postgres');
  return read;
}

const refusal = (message: RegExp) => ({ code: 'DATASTORE_UNUSABLE', message: expect.stringMatching(message) });

describe('a connection', () => {
  test.each(['url', 'pairs'])(
    'with a password over TCP, from a string of %s; the password is nowhere told',
    async (form) => {
      const url = postgres.connectionString(database);
      const pairs = `host=127.0.0.1 port=${postgres.port} user=${postgres.user} password=${postgres.password} dbname=${database} sslmode=disable`;
      const lines: unknown[] = [];
      const write = (...line: unknown[]) => lines.push(line);
      const log = { info: write, warning: write, error: write };
      const postgresConfig = configured(form === 'url' ? url : pairs);
      await using datastore = await openDatastore({ postgres: postgresConfig, log });
      await datastore.entries.create(newEntry());
      expect(lines).toContainEqual([
        'datastore is open',
        { host: '127.0.0.1', port: postgres.port, database, user: postgres.user, migrations_run: expect.any(Number) },
      ]);
      expect(inspect([lines, datastore.leads], { depth: 20 })).not.toContain(postgres.password);
    },
  );

  test.each<readonly [string, Partial<PostgresConfig['connection']>, RegExp]>([
    [
      'wrong password',
      { host: '127.0.0.1', tlsMode: 'disable', password: 'wrong-secret' },
      /refuses this user: correct user and password/,
    ],
    ['unknown user', { user: 'nobody-here' }, /refuses this user/],
    ['unknown database', { database: 'none-here' }, /has no such database: create it/],
    [
      'no TLS there',
      { host: '127.0.0.1', tlsMode: 'verify-full', password: 'wrong-secret' },
      /cannot be reached \(.*SSL/,
    ],
    [
      'nobody there',
      { host: '127.0.0.1', port: 1, password: 'wrong-secret' },
      /cannot be reached \(.*ECONNREFUSED.*\): start PostgreSQL/,
    ],
    ['no such folder', { host: '/nowhere/at/all' }, /cannot be reached \(.*ENOENT/],
    ['no such schema', { settings: { search_path: 'none_here' } }, /has no schema to use: create one/],
    [
      'a setting that is none',
      { settings: { statement_timeout: 'soon' } },
      /statement_timeout|cannot be reached|invalid/,
    ],
    [
      'a CA file that is not there',
      { host: '127.0.0.1', rootCaPath: '/nowhere/ca.pem' },
      /root_ca_path of the datastore, "\/nowhere\/ca.pem", cannot be read/,
    ],
  ])('that cannot be had: %s', async (_what, changes, message) => {
    const opening = openDatastore({ postgres: config({}, changes) });
    const error = await opening.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ message: expect.stringMatching(message) });
    expect(inspect(error, { depth: 20 })).not.toContain('wrong-secret');
  });

  test('is one of max_open_conns, and max_idle_conns stay', async () => {
    await using datastore = await openDatastore({ postgres: config({ maxOpenConnections: 4, maxIdleConnections: 2 }) });
    const connections = async () => {
      const [row] = await postgres.query<{ count: string }>(
        `select count(*) from pg_stat_activity where datname = '${database}' and backend_type = 'client backend'`,
      );
      return Number(row?.count);
    };
    const work = Promise.all(
      Array.from({ length: 40 }, (_, n) => datastore.entries.create(newEntry({ spiffeId: id(`${n}`) }))),
    );
    let most = 0;
    const done = work.then(() => true);
    while (!(await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 5, false))]))) {
      most = Math.max(most, await connections());
    }
    expect(most).toBeLessThanOrEqual(4 + 1); // one more hears of changes
    await expect.poll(connections).toBeLessThanOrEqual(2 + 1);
    expect(await datastore.entries.count()).toBe(40);
  });

  test('ends at conn_max_lifetime, and another one takes its place', async () => {
    await using datastore = await openDatastore({ postgres: config({ connectionLifetimeSeconds: 1 }) });
    const pids = async () => {
      await datastore.entries.count();
      const rows = await postgres.query<{ pid: number }>(
        `select pid from pg_stat_activity where datname = '${database}'`,
      );
      return rows.map(({ pid }) => pid);
    };
    const before = await pids();
    await expect.poll(async () => (await pids()).filter((pid) => before.includes(pid)).length).toBe(1);
  });
});

describe('a database is refused, and left as it was', () => {
  const dump = () =>
    sql(`select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = 'public'::regnamespace and a.attnum > 0 order by 1, 2`);

  test.each<readonly [string, string, RegExp]>([
    [
      "SPIRE's",
      'create table registered_entries (id int); create table migrations (version int); create table attested_node_entries (id int)',
      /is a SPIRE server's: it stays untouched, so name another database or schema/,
    ],
    [
      "another program's",
      'create table customer (id int)',
      /belongs to another program \(it has a table "customer"\): name another/,
    ],
    ['of another program with migrations of its own', 'create table migrations (id int)', /belongs to another program/],
  ])('%s', async (_what, text, message) => {
    await sql(text);
    const before = await dump();
    await expect(openDatastore({ postgres: config() })).rejects.toMatchObject(refusal(message));
    expect(await dump()).toEqual(before);
  });

  test('of a newer version', async () => {
    await (await openDatastore({ postgres: config() }))[Symbol.asyncDispose]();
    await sql("insert into schema_migration values ('9999-from-the-future', '2031-01-01')");
    await expect(openDatastore({ postgres: config() })).rejects.toMatchObject(
      refusal(
        /was written by a newer version \(migration "9999-from-the-future" is not known here\): run that version/,
      ),
    );
  });

  test('of an encoding that has not every character', async () => {
    await postgres.query(`create database latin_${database} template template0 encoding LATIN1 locale 'C'`);
    const opening = openDatastore({ postgres: config({}, { database: `latin_${database}` }) });
    await expect(opening).rejects.toMatchObject(refusal(/has encoding LATIN1: create the database with encoding UTF8/));
  });

  test('where disable_migration is set and it is not up to date', async () => {
    const postgresConfig = config({ disableMigration: true });
    await expect(openDatastore({ postgres: postgresConfig })).rejects.toMatchObject(
      refusal(/is not up to date \(migration "0001-initial" has not run\), and disable_migration is set/),
    );
    expect(await dump()).toEqual([]);
    await (await openDatastore({ postgres: config() }))[Symbol.asyncDispose]();
    await using datastore = await openDatastore({ postgres: postgresConfig });
    expect(await datastore.entries.count()).toBe(0);
  });

  test('where the user may not create tables', async () => {
    await postgres.query('create user reader');
    try {
      const opening = openDatastore({ postgres: config({}, { user: 'reader' }) });
      await expect(opening).rejects.toMatchObject(
        refusal(/may not be accessed: grant this user all rights on its schema/),
      );
    } finally {
      await postgres.query('drop user reader');
    }
  });
});

describe('a migration whose connection ends', () => {
  test.each([1, 4, 11, 19])('at its command %s leaves the state before it, and runs at the next start', async (n) => {
    await sql(`create schema guard; create sequence guard.commands;
      create function guard.strike() returns event_trigger language plpgsql as $$
      begin if nextval('guard.commands') = ${n} then perform pg_terminate_backend(pg_backend_pid()); end if; end $$;
      create event trigger strike on ddl_command_end execute function guard.strike()`);
    await expect(openDatastore({ postgres: config() })).rejects.toMatchObject({ code: 'DATASTORE_UNUSABLE' });
    const tables = await sql<{ name: string }>("select tablename as name from pg_tables where schemaname = 'public'");
    expect(tables.filter(({ name }) => !name.startsWith('schema_migration'))).toEqual([]);
    await sql('drop event trigger strike');
    await using datastore = await openDatastore({ postgres: config() });
    expect((await datastore.entries.create(newEntry())).created).toBe(true);
  });
});

describe('what PostgreSQL says', () => {
  afterEach(() => sql('drop trigger if exists fail on registration_entry'));
  test.each<readonly [string, string, RegExp]>([
    ['53100', 'DATASTORE_UNUSABLE', /is full: free space/],
    ['XX001', 'DATASTORE_UNUSABLE', /is damaged: restore it from a backup/],
    ['55P03', 'DATASTORE_UNAVAILABLE', /held up by another call: call again/],
    ['25006', 'DATASTORE_UNAVAILABLE', /lost meanwhile: call again/],
    ['40001', 'DATASTORE_UNAVAILABLE', /changed by others at the same time: call again/],
  ])('of class %s becomes %s', async (code, expected, message) => {
    await using datastore = await openDatastore({ postgres: config() });
    await sql(`create function fail() returns trigger language plpgsql as $$ begin raise 'secret row' using errcode = '${code}'; end $$;
      create trigger fail before insert on registration_entry for each row execute function fail()`);
    const creating = datastore.entries.create(newEntry());
    await expect(creating).rejects.toMatchObject({ code: expected, message: expect.stringMatching(message) });
    await expect(creating).rejects.not.toMatchObject({ message: expect.stringContaining('secret') });
    await sql('drop trigger fail on registration_entry');
    expect((await datastore.entries.create(newEntry())).created).toBe(true);
  });

  test('a failure that passes is tried again by itself', async () => {
    await using datastore = await openDatastore({ postgres: config() });
    await sql(`create sequence tries; create function fail() returns trigger language plpgsql as $$ begin
      if nextval('tries') < 3 then raise 'deadlock' using errcode = '40P01'; end if; return new; end $$;
      create trigger fail before insert on registration_entry for each row execute function fail()`);
    expect((await datastore.entries.create(newEntry())).created).toBe(true);
    expect(await datastore.entries.latestEvent()).toBe(1);
  });

  test('what a transaction of several steps meets is not: its work runs once', async () => {
    await using datastore = await openDatastore({ postgres: config() });
    await sql(`create function fail() returns trigger language plpgsql as $$ begin raise 'deadlock' using errcode = '40P01'; end $$;
      create trigger fail before insert on registration_entry for each row execute function fail()`);
    let runs = 0;
    const work = datastore.transaction(async ({ entries }) => {
      runs += 1;
      await entries.create(newEntry());
    });
    await expect(work).rejects.toMatchObject({ code: 'DATASTORE_UNAVAILABLE' });
    expect(runs).toBe(1);
  });

  test('a backup is left to the tools that PostgreSQL has', async () => {
    await using datastore = await openDatastore({ postgres: config() });
    await expect(datastore.backup(() => {})).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'the datastore is PostgreSQL: use pg_dump',
    });
  });

  test('a character that text cannot hold is refused', async () => {
    await using datastore = await openDatastore({ postgres: config() });
    await expect(datastore.entries.create(newEntry({ hint: 'a\0b' }))).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    });
  });

  test('a number that is too large for a number is refused, not rounded', async () => {
    await using datastore = await openDatastore({ postgres: config() });
    const { entry } = await datastore.entries.create(newEntry({ expiresAt: Number.MAX_SAFE_INTEGER }));
    expect((await datastore.entries.get(entry.id)).expiresAt).toBe(Number.MAX_SAFE_INTEGER);
    await sql('update registration_entry set expires_at = 9007199254740993');
    await expect(datastore.entries.get(entry.id)).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});
