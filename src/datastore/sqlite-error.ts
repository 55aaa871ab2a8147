import { SpiffeError } from '../spiffe/error.ts';

/** Primary result codes of SQLite, and what an operator can do. Source: sqlite.org/rescode.html */
const ADVICE: Readonly<Record<number, string>> = {
  3: 'datastore may not be accessed: give this user permission on its file and folder',
  5: 'datastore is locked by another process: end the other program that uses its file',
  6: 'datastore is locked by another process: end the other program that uses its file',
  8: 'datastore cannot be written: give this user permission on its file and folder, on a file system that is not read-only',
  10: 'datastore met an input/output error: check the disk that holds it',
  11: 'datastore is damaged: restore its file from a backup',
  13: 'datastore is full: free space on the disk that holds it',
  14: 'datastore cannot be opened: check its file and the permissions of the folders above it',
  26: 'datastore is not an SQLite database: restore its file from a backup, or name another file',
};

/** @returns `error` itself where there is nothing to advise. */
export function toDatastoreError(error: unknown): unknown {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return error;
  const advice = ADVICE[error.errcode & 0xff];
  return advice === undefined ? error : new SpiffeError('DATASTORE_UNUSABLE', advice, { cause: error });
}
