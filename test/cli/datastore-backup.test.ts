import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openDatastore } from '../../src/datastore/datastore.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { id, newEntry } from '../datastore/fixtures.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { runCli } from './run-cli.ts';

const resources = new AsyncDisposableStack();
let server: TestServer;
let folder: TemporaryFolder;
let target: TemporaryFolder;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path }));
});
afterAll(() => resources.disposeAsync());
beforeEach(async () => {
  target = resources.use(await createTemporaryFolder());
});

const backup = async (...args: readonly string[]) =>
  await runCli(['server', 'datastore', 'backup', ...args, '-socketPath', server.running.socketPath]);

test('a backup is made while others write, is whole, and a server starts from it', async () => {
  await using writer = await openDatastore({ path: server.datastorePath });
  await writer.entries.createMany(Array.from({ length: 6_000 }, (_, n) => newEntry({ spiffeId: id(`before/${n}`) })));
  let isDone = false;
  const writing = (async () => {
    for (let n = 0; !isDone; n += 1) {
      await writer.entries.createMany([
        newEntry({ spiffeId: id(`pair/${n}/a`) }),
        newEntry({ spiffeId: id(`pair/${n}/b`) }),
      ]);
      await new Promise(setImmediate);
    }
  })();
  const output = target.join('copy.sqlite3');
  const result = await backup('-output', output);
  isDone = true;
  await writing;
  const { size, mode } = await stat(output);
  expect(result).toMatchObject({ code: 0, stdout: `Backup of ${size} bytes written to ${output}\n` });
  expect(result.stderr).toMatch(/^(\d+ of \d+ pages copied\n)+$/);
  expect(mode & 0o777).toBe(0o600);
  expect(await readdir(target.path)).toEqual(['copy.sqlite3']);
  expect((await readdir(dirname(server.datastorePath))).filter((name) => name.includes('backup'))).toEqual([]);

  const restored = resources.use(await createTemporaryFolder());
  await mkdir(restored.join('data'), { mode: 0o700 });
  await copyFile(output, restored.join('data/datastore.sqlite3'));
  await using again = await TestServer.start({ folder: restored.path });
  await using copy = await openDatastore({ path: again.datastorePath });
  const paths = (await copy.entries.list()).items.map(({ spiffeId }) => spiffeId);
  expect(paths.filter((path) => path.startsWith(`${id('before')}/`))).toHaveLength(6_000);
  const pairs = paths.filter((path) => path.startsWith(`${id('pair')}/`));
  expect(
    pairs
      .filter((path) => path.endsWith('/a'))
      .map((path) => path.replace(/a$/, 'b'))
      .sort(),
  ).toEqual(pairs.filter((path) => path.endsWith('/b')).sort());
  const { count } = await again.admin(EntryDefinition).countEntries({ filter: undefined });
  expect(count).toBe(paths.length);
});

test('a file that exists is left as it is', async () => {
  const output = target.join('mine');
  await writeFile(output, 'mine');
  expect(await backup('-output', output)).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining(`"${output}" exists: name a file that does not`),
  });
  expect(await readFile(output, 'utf8')).toBe('mine');
  expect(await readdir(target.path)).toEqual(['mine']);
});

test.each([
  [[], /a file is required: use -output FILE/],
  [['-output', '/nowhere/at/all'], /"\/nowhere\/at\/all" cannot be written: ENOENT/],
])('%j is refused', async (args, message) => {
  expect(await backup(...args)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
});

test('several at once do not get into each other’s way', async () => {
  const results = await Promise.all([1, 2, 3].map((n) => backup('-output', target.join(`${n}`))));
  const done = results.filter(({ code }) => code === 0);
  expect(done.length).toBeGreaterThan(0);
  for (const { code, stderr } of results) if (code !== 0) expect(stderr).toContain('a backup is under way already');
  const files = await readdir(target.path);
  expect(files).toHaveLength(done.length);
  for (const file of files) {
    await using copy = await openDatastore({ path: join(target.path, file) });
    expect(await copy.entries.count()).toBeGreaterThan(6_000);
  }
});
