import { expect, test } from 'vitest';
import { toDatastoreError } from '../../src/datastore/sqlite-error.ts';

const rows = [
  ['SQLITE_BUSY', 5, /locked by another process: end/],
  ['SQLITE_BUSY_SNAPSHOT', 517, /locked by another process: end/],
  ['SQLITE_LOCKED', 6, /locked by another process: end/],
  ['SQLITE_PERM', 3, /give this user permission/],
  ['SQLITE_READONLY_DBMOVED', 1032, /cannot be written: give this user permission/],
  ['SQLITE_IOERR_FSYNC', 1034, /input\/output error: check the disk/],
  ['SQLITE_CORRUPT', 11, /damaged: restore/],
  ['SQLITE_FULL', 13, /full: free space/],
  ['SQLITE_CANTOPEN', 14, /cannot be opened: check/],
  ['SQLITE_NOTADB', 26, /not an SQLite database: restore/],
] as const;

test.each(rows)('%s (%s) says what to do', (_name, errcode, message) => {
  const cause = Object.assign(new Error('of SQLite'), { errcode });
  expect(toDatastoreError(cause)).toMatchObject({
    code: 'DATASTORE_UNUSABLE',
    message: expect.stringMatching(message),
    cause,
  });
});

test.each([
  ['SQLITE_CONSTRAINT, a mistake of ours', Object.assign(new Error('of SQLite'), { errcode: 19 })],
  ['another error', new Error('of somebody else')],
  ['no error', 'text'],
])('%s is passed on', (_what, error) => {
  expect(toDatastoreError(error)).toBe(error);
});
