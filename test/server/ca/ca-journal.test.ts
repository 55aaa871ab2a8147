import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatastore } from '../../../src/datastore/datastore.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { Authorities, LastingKeys } from './authorities.ts';

let folder: TemporaryFolder;
let firstFolder: TemporaryFolder;
let secondFolder: TemporaryFolder;
let now: Date;

beforeEach(async () => {
  now = new Date('2026-01-01T00:00:00Z');
  [folder, firstFolder, secondFolder] = await Promise.all([
    createTemporaryFolder(),
    createTemporaryFolder(),
    createTemporaryFolder(),
  ]);
});
afterEach(() => Promise.all([folder, firstFolder, secondFolder].map((one) => one[Symbol.asyncDispose]())));

/** All on one database. */
const open = (keys: LastingKeys, dataFolder: string) =>
  Authorities.open({ folder: folder.path, clock: () => now, keys, dataFolder });

test('two servers on one database have a journal each, and one bundle', async () => {
  const [firstKeys, secondKeys] = [new LastingKeys(), new LastingKeys()];
  const ids = await (async () => {
    await using first = await open(firstKeys, firstFolder.path);
    await using second = await open(secondKeys, secondFolder.path);
    expect(first.journal.name).not.toBe(second.journal.name);
    expect(await first.bundleSizes()).toEqual([2, 2]);
    await first.manager.x509Authorities.activate((await first.manager.x509Authorities.prepare()).authorityId);
    await second.manager.x509Authorities.prepare();
    await expect(second.manager.x509Authorities.taint(first.ids[0] ?? '')).rejects.toThrow('unexpected authority ID');
    return [first.ids, second.ids];
  })();
  await using second = await open(secondKeys, secondFolder.path);
  await using first = await open(firstKeys, firstFolder.path);
  expect([first.ids, second.ids]).toEqual(ids);
  expect(first.manager.x509Authorities.states.old).toBeDefined();
  expect(second.manager.x509Authorities.states.prepared).toBeDefined();
});

test('a server whose data folder is lost finds its journal by its key', async () => {
  const keys = new LastingKeys();
  const journal = await (async () => {
    await using ca = await open(keys, firstFolder.path);
    return ca.journal.name;
  })();
  await using ca = await open(keys, secondFolder.path);
  expect(ca.journal.name).toBe(journal);
  expect((await readFile(secondFolder.join('ca-journal'), 'utf8')).trim()).toBe(journal);
});

test('a server whose keys are lost finds its journal by its data folder: what it had is old', async () => {
  const [journal, id] = await (async () => {
    await using ca = await open(new LastingKeys(), firstFolder.path);
    return [ca.journal.name, ca.ids[0]];
  })();
  await using ca = await open(new LastingKeys(), firstFolder.path);
  expect([ca.journal.name, ca.manager.x509Authorities.states.old?.authorityId]).toEqual([journal, id]);
});

test('a server with the copy of a data folder goes on with a journal of its own, and so does the other', async () => {
  const [firstKeys, secondKeys] = [new LastingKeys(), new LastingKeys()];
  await using first = await open(firstKeys, firstFolder.path);
  await writeFile(secondFolder.join('ca-journal'), await readFile(firstFolder.join('ca-journal')));
  await using second = await open(secondKeys, secondFolder.path);
  for (const ca of [first, second, first]) {
    const line = ca.manager.x509Authorities;
    await line.activate((await line.prepare()).authorityId);
  }
  expect(first.journal.name).not.toBe(second.journal.name);
  const names = [first.journal.name, second.journal.name];
  expect((await first.datastore.caJournal.list()).map(({ name }) => name)).toEqual(names.toSorted());
  await using again = await open(firstKeys, firstFolder.path);
  expect(again.ids[0]).toBe(first.ids[0]);
});

test('the journal of a server that is gone is deleted two weeks after its last authority ended', async () => {
  const gone = await (async () => {
    await using ca = await open(new LastingKeys(), firstFolder.path);
    return ca.journal.name;
  })();
  await using ca = await open(new LastingKeys(), secondFolder.path);
  const names = async () => (await ca.datastore.caJournal.list()).map(({ name }) => name).toSorted();
  for (const [days, expected] of [
    [14.9, [gone, ca.journal.name].toSorted()],
    [0.5, [ca.journal.name]],
  ] as const) {
    now = new Date(now.getTime() + days * 86_400_000);
    await ca.manager.rotate();
    expect(await names()).toEqual(expected);
  }
});

test('a database of the version that had one journal goes on with it', async () => {
  const keys = new LastingKeys();
  const { ids, name } = await (async () => {
    await using ca = await open(keys, firstFolder.path);
    return { ids: ca.ids, name: ca.journal.name };
  })();
  const datastore = await openDatastore({ path: `${folder.path}/datastore.sqlite3`, clock: () => now });
  const [stored] = await datastore.caJournal.list();
  const content = JSON.parse(Buffer.from(stored?.data ?? []).toString());
  const [x509, jwt] = [content.x509[0], content.jwt[0]];
  const old = {
    format: 1,
    x509: [{ slot: x509.slot, state: x509.state, chain: x509.chain, issuedAt: x509.issuedAt, notAfter: x509.notAfter }],
    jwt: [
      {
        slot: jwt.slot,
        state: jwt.state,
        keyId: jwt.authorityId,
        publicKey: jwt.publicKey,
        issuedAt: jwt.issuedAt,
        notAfter: jwt.notAfter,
      },
    ],
  };
  await datastore.caJournal.delete(name);
  const data = Buffer.from(JSON.stringify(old));
  await datastore.caJournal.set({ name: 'server', activeX509AuthorityId: ids[0] ?? '', data, version: 0 });
  await datastore[Symbol.asyncDispose]();
  await using ca = await open(keys, secondFolder.path);
  expect([ca.ids, ca.journal.name]).toEqual([ids, 'server']);
  const line = ca.manager.x509Authorities;
  await line.activate((await line.prepare()).authorityId);
  await line.taint(ids[0] ?? '');
});

test('a journal that nobody can read is told of, not replaced', async () => {
  const keys = new LastingKeys();
  await using ca = await open(keys, firstFolder.path);
  const [stored] = await ca.datastore.caJournal.list();
  if (stored === undefined) throw new Error('no journal');
  await ca.datastore.caJournal.set({ ...stored, data: Buffer.from('{"format":99}') });
  await expect(open(keys, firstFolder.path)).rejects.toMatchObject({
    code: 'DATASTORE_UNUSABLE',
    message: expect.stringContaining('the journal of the certificate authority is damaged or of a newer version'),
  });
});
