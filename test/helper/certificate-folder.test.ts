import { chmod, readdir, utimes, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { findOwner, requireCertificateFolder } from '../../src/helper/certificate-folder.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

test.each([
  ['root', { uid: 0, gid: 0 }],
  ['0', { uid: 0, gid: 0 }],
  ['root:daemon', { uid: 0, gid: 1 }],
  ['4711:4712', { uid: 4711, gid: 4712 }],
])('owner %j is found', async (text, owner) => {
  expect(await findOwner(text)).toEqual(owner);
});

test.each([
  ['no-such-user', 'there is no user "no-such-user"'],
  ['root:no-such-group', 'there is no group "no-such-group"'],
  ['4711', 'give its group, too'],
  [':root', 'there is no user ""'],
])('owner %j is refused', async (text, message) => {
  await expect(findOwner(text)).rejects.toThrow(message);
});

test('a folder that is missing, a file, or one that everybody may change is refused', async () => {
  await using folder = await createTemporaryFolder();
  await writeFile(folder.join('file'), '');
  await expect(requireCertificateFolder(folder.join('none'))).rejects.toThrow('does not exist: create it');
  await expect(requireCertificateFolder(folder.join('file'))).rejects.toThrow('is no folder');
  await chmod(folder.path, 0o777);
  await expect(requireCertificateFolder(folder.path)).rejects.toThrow('run chmod o-w on it');
  await chmod(folder.path, 0o1777);
  await requireCertificateFolder(folder.path);
});

test('what a helper that was killed left behind is removed, and nothing else', async () => {
  await using folder = await createTemporaryFolder();
  const names = ['.0123456789abcdef.tmp', '.fedcba9876543210.tmp', '.other.tmp', 'key.pem'];
  for (const name of names) await writeFile(folder.join(name), '');
  const before = new Date(Date.now() - 120_000);
  for (const name of names.toSpliced(1, 1)) await utimes(folder.join(name), before, before);
  await requireCertificateFolder(folder.path);
  expect((await readdir(folder.path)).toSorted()).toEqual(['.fedcba9876543210.tmp', '.other.tmp', 'key.pem']);
});
