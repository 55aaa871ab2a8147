import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { makeFolders } from './make-folders.ts';
import { removeLeftOver } from './remove-left-over.ts';

/**
 * Makes sure that a program has a folder of its own for what it keeps: created where it is missing, writable,
 * and closed to users outside of its group. What a run that was killed while it wrote has left there is removed.
 *
 * @throws SpiffeError `FILE_UNUSABLE`, with what to do.
 */
export async function requireDataFolder(path: string): Promise<void> {
  try {
    await makeFolders(path, 0o700);
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new SpiffeError('FILE_UNUSABLE', `the data folder "${path}" cannot be written: ${explain(cause)}`, { cause });
  }
  const { mode, uid } = await stat(path);
  if (uid !== 0 && uid !== process.getuid?.()) {
    throw new SpiffeError(
      'FILE_UNUSABLE',
      `the data folder "${path}" belongs to another user: make the user of this program its owner`,
    );
  }
  if ((mode & 0o007) !== 0) {
    throw new SpiffeError('FILE_UNUSABLE', `the data folder "${path}" is open to every user: run chmod o-rwx on it`);
  }
  await removeLeftOver(path);
}

function explain(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return 'permission denied, make the user of this program its owner';
    case 'EROFS':
      return 'its file system is read-only, name another data_dir';
    case 'ENOTDIR':
    case 'EEXIST':
      return 'it is no folder, name another data_dir';
    case 'ENOENT':
      return 'it cannot be created there, name another data_dir';
    case 'ENOSPC':
      return 'no space is left on its file system';
    default:
      return messageOf(cause);
  }
}
