import { copyFile, mkdir, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDatastore } from '../../src/datastore/datastore.ts';
import { id, newEntry } from './fixtures.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'datastore-'));
  path = join(folder, 'datastore.sqlite3');
});
afterEach(() => rm(folder, { recursive: true }));

const refusal = (message: RegExp) => ({ code: 'DATASTORE_UNUSABLE', message: expect.stringMatching(message) });

/** A closed datastore with entries. */
async function fill(): Promise<void> {
  await using datastore = await openDatastore({ path });
  await datastore.entries.createMany(Array.from({ length: 500 }, (_, n) => newEntry({ spiffeId: id(`w/${n}`) })));
}

function runSql(sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

async function modeOf(file: string): Promise<number> {
  return (await stat(file)).mode & 0o777;
}

describe('opening', () => {
  test('creates a file that only this user can read, and its companions too', async () => {
    await using datastore = await openDatastore({ path });
    await datastore.entries.create(newEntry());
    expect(await modeOf(path)).toBe(0o600);
    expect(await modeOf(`${path}-wal`)).toBe(0o600);
    expect(await modeOf(`${path}-shm`)).toBe(0o600);
  });

  test('takes the rights of others away', async () => {
    await writeFile(path, '', { mode: 0o644 });
    await using _datastore = await openDatastore({ path });
    expect(await modeOf(path)).toBe(0o600);
  });

  test('finds what was stored', async () => {
    await fill();
    await using datastore = await openDatastore({ path });
    expect(await datastore.entries.count()).toBe(500);
  });

  test('tells the log which file and how many migrations', async () => {
    const lines: unknown[] = [];
    const log = {
      info: (message: string, fields?: unknown) => lines.push([message, fields]),
      warning: () => {},
      error: () => {},
    };
    for (const migrations_run of [expect.any(Number), 0]) {
      await using _datastore = await openDatastore({ path, log });
      expect(lines.pop()).toEqual(['datastore is open', { path, migrations_run }]);
    }
  });

  test('reads at once what another handle stored', async () => {
    await using one = await openDatastore({ path });
    await using two = await openDatastore({ path });
    await one.entries.create(newEntry());
    expect(await two.entries.count()).toBe(1);
  });
});

describe('a file that is refused', () => {
  test('its folder does not exist', async () => {
    const missing = join(folder, 'none', 'datastore.sqlite3');
    await expect(openDatastore({ path: missing })).rejects.toMatchObject(refusal(/create the folder ".*none"$/));
  });

  test('its folder is a file', async () => {
    await writeFile(join(folder, 'file'), '');
    const below = join(folder, 'file', 'datastore.sqlite3');
    await expect(openDatastore({ path: below })).rejects.toMatchObject(refusal(/is not a folder$/));
  });

  test('it is a folder', async () => {
    await mkdir(path);
    await expect(openDatastore({ path })).rejects.toMatchObject(refusal(/it is a folder, so name a file in it$/));
  });

  test('its folder cannot be written, not even by root', async () => {
    await expect(openDatastore({ path: '/proc/self/datastore.sqlite3' })).rejects.toMatchObject(
      refusal(/"\/proc\/self\/datastore.sqlite3" cannot be written: /),
    );
  });

  test('it is something else', async () => {
    await writeFile(path, 'just a text');
    await expect(openDatastore({ path })).rejects.toMatchObject(refusal(/is not an SQLite database: restore it/));
    expect(await readFile(path, 'utf8')).toBe('just a text');
  });

  const damages: readonly (readonly [string, () => Promise<void>])[] = [
    ['cut off', () => truncate(path, 20_000)],
    ['cut off within the header', () => truncate(path, 50)],
    ['overwritten in the header', () => overwrite(16, 80)],
    ['overwritten at the schema', () => overwrite(100, 3000)],
    ['overwritten in the middle', () => overwrite(16_384, 200_000)],
  ];
  test.each(damages)('it is damaged: %s', async (_how, damage) => {
    await fill();
    await damage();
    await expect(openDatastore({ path })).rejects.toMatchObject(refusal(/restore it|restore its file/));
  });

  test('it was written by a newer version', async () => {
    await fill();
    runSql("insert into schema_migration (name, timestamp) values ('0999-future', '2030-01-01T00:00:00.000Z')");
    await expect(openDatastore({ path })).rejects.toMatchObject(
      refusal(/newer version \(migration "0999-future" is not known here\): run that version/),
    );
  });

  const spire: readonly (readonly [string, string])[] = [
    ['version', 'create table migrations (id integer primary key, version integer)'],
    ['code version', 'create table migrations (id integer primary key, code_version varchar(255))'],
    ['entries', 'create table registered_entries (id integer primary key)'],
    ['agents', 'create table attested_node_entries (id integer primary key)'],
  ];
  test.each(spire)("it is a SPIRE server's, known by its %s, and stays as it was", async (_what, sql) => {
    runSql(sql);
    await copyFile(path, `${path}.before`);
    const mode = await modeOf(path);
    await expect(openDatastore({ path })).rejects.toMatchObject(refusal(/is a SPIRE server's: .* name another file/));
    expect(await readFile(path)).toEqual(await readFile(`${path}.before`));
    expect(await modeOf(path)).toBe(mode);
  });

  test('it belongs to another program', async () => {
    runSql('create table migrations (name text)');
    await expect(openDatastore({ path })).rejects.toMatchObject(
      refusal(/belongs to another program \(it has a table "migrations"\)/),
    );
  });
});

async function overwrite(start: number, length: number): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(Buffer.alloc(length, 0xa5), 0, length, start);
}
