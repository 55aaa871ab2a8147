import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type DatastorePlace, openDatastore } from '../../src/datastore/datastore.ts';
import { migration0001 } from '../../src/datastore/migrations/0001-initial.ts';
import { NodeSqliteDialect } from '../../src/datastore/sqlite.ts';
import { newEntry } from '../datastore/fixtures.ts';
import { PostgresServer } from '../harness/postgres-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 60_000 });
const MAX_WRITES = 150;
/** Each statement of SQLite; of PostgreSQL, where they are the same, each so many. */
const POSTGRES_STEP = 6;

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
});
afterAll(() => resources.disposeAsync());

/** @returns whether it was killed before it was done. */
async function openAndKill(place: DatastorePlace, killAt: number): Promise<boolean> {
  const armedBy = folder.join(`armed-${killAt}`);
  await writeFile(armedBy, '');
  const child = spawn(
    process.execPath,
    ['--import', here('./kill-at-write.ts'), here('./open-datastore.ts'), JSON.stringify(place)],
    { env: { ...process.env, ARMED_BY: armedBy, KILL_AT: String(killAt) }, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const [code, signal] = await once(child, 'exit');
  if (signal === 'SIGKILL') return true;
  expect(code).toBe(0);
  return false;
}

async function expectUsable(place: DatastorePlace): Promise<void> {
  await using datastore = await openDatastore(place);
  const { entry } = await datastore.entries.create(newEntry());
  expect(await datastore.entries.get(entry.id)).toMatchObject({ spiffeId: entry.spiffeId });
}

test('a new SQLite file: whatever statement a start ends at, the next one makes it usable', async () => {
  let killAt = 1;
  for (; killAt <= MAX_WRITES; killAt++) {
    const place = { path: folder.join(`new-${killAt}.sqlite3`) };
    if (!(await openAndKill(place, killAt))) break;
    await expectUsable(place);
  }
  expect(killAt).toBeGreaterThan(20);
  expect(killAt).toBeLessThan(MAX_WRITES);
});

test('an SQLite file of the first version keeps what it had', async () => {
  const old = folder.join('old');
  const database = new DatabaseSync(folder.join('old.sqlite3'));
  const db = new Kysely<never>({
    dialect: new NodeSqliteDialect({ database, log: undefined, beforeWaiting: () => {} }),
  });
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ '0001-initial': migration0001 }) },
    migrationTableName: 'schema_migration',
    migrationLockTableName: 'schema_migration_lock',
  });
  expect((await migrator.migrateToLatest()).error).toBeUndefined();
  const application = await applicationIdOfOurs();
  database.exec(`pragma application_id = ${application}`);
  database
    .prepare('insert into join_token (token_hash, expires_at) values (?, ?)')
    .run('5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8', 2_000_000_000); // SHA-256 of "password"
  await db.destroy();
  let killAt = 1;
  for (; killAt <= MAX_WRITES; killAt++) {
    const place = { path: `${old}-${killAt}.sqlite3` };
    await cp(folder.join('old.sqlite3'), place.path);
    const wasKilled = await openAndKill(place, killAt);
    {
      await using datastore = await openDatastore(place);
      expect(await datastore.joinTokens.find('password')).toMatchObject({ expiresAt: 2_000_000_000 });
    }
    await expectUsable(place);
    if (!wasKilled) break;
  }
  expect(killAt).toBeGreaterThan(3);
});

/** What our files are known by; 0 where nothing is written there. */
async function applicationIdOfOurs(): Promise<number> {
  const path = folder.join('ours.sqlite3');
  await (await openDatastore({ path }))[Symbol.asyncDispose]();
  const database = new DatabaseSync(path);
  const row = database.prepare('pragma application_id').get();
  database.close();
  return Number(row?.application_id ?? 0);
}

test('a schema of PostgreSQL: whatever statement a start ends at, the next one makes it usable', async () => {
  await using postgres = await PostgresServer.start({ settings: ['fsync = off'] });
  let killAt = 2;
  for (; killAt <= MAX_WRITES; killAt += POSTGRES_STEP) {
    await postgres.query(`create schema killed_${killAt}`);
    const place = { postgres: postgres.config({}, { search_path: `killed_${killAt}` }) };
    if (!(await openAndKill(place, killAt))) break;
    await expectUsable(place);
  }
  expect(killAt).toBeGreaterThan(20);
});

test('a write-ahead log that was torn anywhere has a transaction as a whole or not at all', async () => {
  const path = folder.join('torn.sqlite3');
  await (await openDatastore({ path }))[Symbol.asyncDispose]();
  const writer = spawn(process.execPath, [here('./write-and-die.ts'), path], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [, signal] = await once(writer, 'exit');
  expect(signal).toBe('SIGKILL');
  const log = await readFile(`${path}-wal`);
  expect(log.length).toBeGreaterThan(4096);
  const seen = new Set<number>();
  const cuts = [...Array.from({ length: 40 }, (_, index) => Math.floor((log.length * index) / 40)), log.length];
  for (const [index, cut] of cuts.entries()) {
    const torn = folder.join(`torn-${index}.sqlite3`);
    await cp(path, torn);
    await writeFile(`${torn}-wal`, log.subarray(0, cut));
    await using datastore = await openDatastore({ path: torn });
    const { items } = await datastore.entries.list();
    for (const { selectors } of items) expect(selectors).toHaveLength(2);
    expect(await datastore.entries.latestEvent()).toBe(items.length);
    seen.add(items.length);
  }
  expect([...seen].sort()).toEqual([0, 50]); // a batch of fifty
  expect((await readdir(folder.path)).length).toBeGreaterThan(40);
});
