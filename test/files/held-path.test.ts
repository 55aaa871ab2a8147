import { chmod, chown, lchown, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { below, openHeldPath } from '../../src/files/held-path.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

/** Nobody's: the tests run as root. */
const OTHER = 12_345;

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
  await mkdir(folder.join('secret'));
  await writeFile(folder.join('secret/file'), 'secret');
});
afterEach(() => folder[Symbol.asyncDispose]());

async function read(path: string): Promise<string> {
  await using file = await openHeldPath(path, `"${path}"`);
  return await file.readFile('utf8');
}

test('what is there is opened, by links of root too', async () => {
  await symlink('secret', folder.join('link'));
  await symlink(folder.join('link'), folder.join('absolute'));
  await symlink('../absolute/./file', folder.join('secret/up'));
  for (const name of ['secret/file', 'link/file', 'absolute/file', 'secret/up', 'secret/../secret/file']) {
    expect(await read(folder.join(name))).toBe('secret');
  }
  await using root = await openHeldPath('/', 'the root');
  expect((await root.stat()).isDirectory()).toBe(true);
  await using last = await openHeldPath(folder.join('link'), 'the folder');
  expect(await readFile(below(last, 'file'), 'utf8')).toBe('secret');
});

test('what somebody else has put in its place is not followed', async () => {
  const own = folder.join('own');
  await mkdir(own);
  await symlink(folder.join('secret'), `${own}/link`);
  await chown(own, OTHER, OTHER);
  const sentence =
    /symbolic link "link", which user 12345, or whoever else may write to its folder, could let lead anywhere/;
  await expect(read(`${own}/link/file`)).rejects.toThrow(sentence);
  await expect(openHeldPath(`${own}/link`, 'it')).rejects.toThrow(sentence);
  await chown(own, 0, 0);
  await chmod(own, 0o777);
  await expect(read(`${own}/link/file`)).rejects.toThrow(/could let lead anywhere/);
  await chmod(own, 0o1777);
  expect(await read(`${own}/link/file`)).toBe('secret');
  await lchown(`${own}/link`, OTHER, OTHER);
  await expect(read(`${own}/link/file`)).rejects.toThrow(
    /which user 12345 could let lead anywhere: name the place itself/,
  );
});

test('who exchanges a folder and a link without end never leads to the link’s target', async () => {
  const own = folder.join('own');
  await mkdir(`${own}/certs`, { recursive: true });
  await writeFile(`${own}/certs/file`, 'own');
  await symlink(folder.join('secret'), `${own}/link`);
  await chown(own, OTHER, OTHER);
  let isRunning = true;
  const exchanging = (async () => {
    while (isRunning) {
      await rename(`${own}/certs`, `${own}/kept`);
      await rename(`${own}/link`, `${own}/certs`);
      await rename(`${own}/certs`, `${own}/link`);
      await rename(`${own}/kept`, `${own}/certs`);
    }
  })();
  const found = new Set<string>();
  for (let round = 0; round < 300; round++) found.add(await read(`${own}/certs/file`).catch(() => 'refused'));
  isRunning = false;
  await exchanging;
  expect(found).toContain('own');
  expect(found).not.toContain('secret');
});

test('a folder stays the one that was opened', async () => {
  await mkdir(folder.join('certs'));
  await using held = await openHeldPath(folder.join('certs'), 'it');
  await rename(folder.join('certs'), folder.join('moved'));
  await symlink('secret', folder.join('certs'));
  await writeFile(below(held, 'new'), 'new');
  expect(await readFile(folder.join('moved/new'), 'utf8')).toBe('new');
});

test('what is missing, or links in a circle, is said', async () => {
  await expect(read(folder.join('none'))).rejects.toMatchObject({ code: 'FILE_UNUSABLE', cause: { code: 'ENOENT' } });
  await expect(read(folder.join('secret/file/below'))).rejects.toThrow(/cannot be opened: ENOTDIR/);
  await symlink('circle', folder.join('circle'));
  await expect(read(folder.join('circle'))).rejects.toThrow(/by way of too many symbolic links/);
  await rm(folder.join('circle'));
});
