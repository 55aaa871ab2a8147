import { rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { Accounts, parseAccounts } from '../../../src/plugins/unix/accounts.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';

const rows = [
  ['a user', 'root:x:0:0:root:/root:/bin/bash', [[0, 'root']]],
  ['a group with members', 'docker:x:998:alice,bob', [[998, 'docker']]],
  ['of two names for a number the first', 'root:x:0:0\ntoor:x:0:0', [[0, 'root']]],
  ['no number', 'broken:x:abc:0\nalso:x', []],
  ['a comment, an empty line and an empty name', '# root:x:0\n\n:x:5:5', []],
  ['a negative number', 'nobody:x:-2:-2', []],
] as const;
test.each(rows)('reads %s (passwd(5), group(5))', (_rule, text, expected) => {
  expect([...parseAccounts(text)]).toEqual(expected);
});

test('follows its file: changed, and gone', async () => {
  await using folder = await createTemporaryFolder();
  const path = folder.join('passwd');
  const accounts = new Accounts(path);
  expect(accounts.names.get(7)).toBeUndefined();
  await writeFile(path, 'seven:x:7:7');
  expect(accounts.names.get(7)).toBe('seven');
  await writeFile(path, 'renamed:x:7:7');
  expect(accounts.names.get(7)).toBe('renamed');
  await rm(path);
  expect(accounts.names.get(7)).toBeUndefined();
});
