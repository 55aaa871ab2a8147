import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SoftwareKey, SoftwareKeys } from '../../../src/plugin-sdk/index.ts';
import { readKeyFile, writeKeyFile } from '../../../src/plugins/disk/key-file.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

test('what is written is read again, and only its owner can', async () => {
  const path = folder.join('keys.json');
  using key = await SoftwareKey.generate('x509-CA-A', 'ec-p256');
  await writeKeyFile(path, [key]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await readKeyFile(path)).map(({ record }) => record)).toEqual([key.record]);
});

test('a file that is not there has no keys', async () => {
  expect(await readKeyFile(folder.join('absent.json'))).toEqual([]);
});

const refused = [
  ['damaged', '{"format":', /is damaged: restore it/],
  ['of a newer version', '{"format":"assayer-keys-2","keys":[]}', /damaged or of a newer version/],
  ['with a key that is none', '{"format":"assayer-keys-1","keys":[{"id":"a","pkcs8":"AAAA"}]}', /not a private key/],
  ["SPIRE's", '{"keys":{"x509-CA-A":"MIG"}}', /was written by SPIRE/],
  ['too large', ' '.repeat(1024 * 1024 + 1), /larger than/],
] as const;
test.each(refused)('a file that is %s is refused and stays as it is', async (name, content, message) => {
  const path = folder.join(`${name.replaceAll(/\W/g, '-')}.json`);
  await writeFile(path, content, { mode: 0o600 });
  await expect(readKeyFile(path)).rejects.toThrow(expect.objectContaining({ message: expect.stringMatching(message) }));
  expect(await readFile(path, 'utf8')).toBe(content);
});

test('a file that others can read is refused', async () => {
  const path = folder.join('open.json');
  await writeKeyFile(path, []);
  await chmod(path, 0o644);
  await expect(readKeyFile(path)).rejects.toMatchObject({
    code: 'FILE_UNUSABLE',
    message: expect.stringContaining('chmod 600'),
  });
});

test('a key that could not be stored does not replace the one before', async () => {
  let full = false;
  const keys = new SoftwareKeys([], async () => {
    if (full) throw new Error('no space left');
  });
  const first = await keys.generate('k', 'ec-p256');
  full = true;
  await expect(keys.generate('k', 'ec-p256')).rejects.toThrow('no space left');
  expect(keys.find('k')).toEqual(first);
  expect(keys.sign('k', Buffer.alloc(32), { scheme: 'default', hash: 'sha256' }).fingerprint).toBe(first.fingerprint);
  full = false;
  await expect(keys.generate('k', 'ec-p256')).resolves.not.toEqual(first);
});

test('keys made at the same moment are all stored', async () => {
  const stored: string[][] = [];
  using keys = new SoftwareKeys([], async (all) => void stored.push(all.map(({ record }) => record.id)));
  await Promise.all(['a', 'b', 'c'].map((id) => keys.generate(id, 'ec-p256')));
  expect(stored.at(-1)?.toSorted()).toEqual(['a', 'b', 'c']);
});
