import { execFile } from 'node:child_process';
import { appendFile, mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Datastore, openDatastore } from '../../src/datastore/datastore.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { id, newEntry } from './fixtures.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
let stack: AsyncDisposableStack;
let folder: TemporaryFolder;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  folder = stack.use(await createTemporaryFolder());
});
afterEach(() => stack.disposeAsync());

/** A disk of one megabyte. */
async function smallDisk(): Promise<string> {
  const disk = folder.join('small');
  await mkdir(disk);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'tmpfs', disk]);
  stack.defer(async () => {
    await run('umount', ['--lazy', disk]);
  });
  return disk;
}

async function fill(filler: string): Promise<void> {
  for (const size of [65_536, 4096, 512, 1]) {
    await (async () => {
      for (;;) await appendFile(filler, Buffer.alloc(size));
    })().catch((error: unknown) => expect(error).toMatchObject({ code: 'ENOSPC' }));
  }
}

const many = (count: number, prefix = 'w') =>
  Array.from({ length: count }, (_, n) => newEntry({ spiffeId: id(`${prefix}/${n}`) }));

/** The events are those of the entries that are there: no half of a transaction was stored. */
async function requireWhole(datastore: Datastore, count: number): Promise<void> {
  expect(await datastore.entries.count()).toBe(count);
  expect(await datastore.entries.latestEvent()).toBe(count);
  expect((await datastore.entries.eventsAfter(0, count + 1)).events).toHaveLength(count);
}

describe('a full disk', () => {
  test.runIf(isRoot)(
    'refuses what has to be written, whole; reading goes on, and writing does once there is room',
    async () => {
      const disk = await smallDisk();
      const datastore = stack.use(await openDatastore({ path: join(disk, 'datastore.sqlite3') }));
      await datastore.entries.createMany(many(20));
      await fill(join(disk, 'filler'));
      const refused = datastore.entries.createMany(many(500, 'full'));
      await expect(refused).rejects.toMatchObject({
        code: 'DATASTORE_UNUSABLE',
        message: expect.stringMatching(/is full: free space/),
      });
      await requireWhole(datastore, 20);
      await expect(datastore.backup(() => {})).rejects.toMatchObject({
        message: expect.stringMatching(/full|no space|ENOSPC/i),
      });
      await rm(join(disk, 'filler'));
      await datastore.entries.createMany(many(10, 'after'));
      await requireWhole(datastore, 30);
      await datastore[Symbol.asyncDispose]();
      await using again = await openDatastore({ path: join(disk, 'datastore.sqlite3') });
      await requireWhole(again, 30);
    },
  );

  test.runIf(isRoot)('on which nothing was made yet is told at the start', async () => {
    const disk = await smallDisk();
    await fill(join(disk, 'filler'));
    await expect(openDatastore({ path: join(disk, 'datastore.sqlite3') })).rejects.toMatchObject({
      code: 'DATASTORE_UNUSABLE',
      message: expect.stringMatching(/full|space/),
    });
  });
});

describe('a read-only disk', () => {
  test.runIf(isRoot)('is told at the start, and nothing is lost', async () => {
    const disk = await smallDisk();
    const path = join(disk, 'datastore.sqlite3');
    await (await openDatastore({ path }))[Symbol.asyncDispose]();
    await run('mount', ['-o', 'remount,ro', disk]);
    await expect(openDatastore({ path })).rejects.toMatchObject({
      code: 'DATASTORE_UNUSABLE',
      message: expect.stringMatching(/its file system is read-only, so name a file on another one/),
    });
    await run('mount', ['-o', 'remount,rw', disk]);
    await using datastore = await openDatastore({ path });
    await requireWhole(datastore, 0);
  });
});

describe('a database that is damaged while it is in use', () => {
  test('is told by whoever meets the damage, and never copied as a backup', async () => {
    const path = folder.join('datastore.sqlite3');
    const before = await openDatastore({ path });
    await before.entries.createMany(many(5_000));
    await before[Symbol.asyncDispose]();
    const datastore = stack.use(await openDatastore({ path }));
    const { size } = await stat(path);
    const file = await open(path, 'r+');
    for (let at = 64 * 1024; at < size; at += 4096) await file.write(Buffer.alloc(4096, 0xa5), 0, 4096, at);
    await file.close();
    const damaged = {
      code: 'DATASTORE_UNUSABLE',
      message: expect.stringMatching(/is damaged.*: restore its file from a backup/),
    };
    await expect(datastore.entries.list()).rejects.toMatchObject(damaged);
    await expect(datastore.backup(() => {})).rejects.toMatchObject(damaged);
    await datastore[Symbol.asyncDispose]();
    await expect(openDatastore({ path })).rejects.toMatchObject({
      code: 'DATASTORE_UNUSABLE',
      message: expect.stringMatching(/is damaged/),
    });
  });
});
