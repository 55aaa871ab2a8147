import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { syncFolder, temporaryPath } from './temporary-file.ts';

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Writes a whole file or nothing: a temporary file beside it, synced, renamed, and the folder synced.
 *
 * @param mode permission bits of the new file; a reader never sees it with others.
 * @param owner whose it is before anything is in it; the user of this process by default.
 * @param shown what the path is in messages.
 * @throws SpiffeError `FILE_UNUSABLE`, naming the path in the cause.
 */
export async function writeFileAtomically(
  path: string,
  content: Uint8Array | string,
  mode = 0o600,
  owner?: FileOwner,
  shown = path,
): Promise<void> {
  const temporary = temporaryPath(dirname(path));
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      await file.chmod(mode);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new SpiffeError('FILE_UNUSABLE', `cannot write the file "${shown}": ${messageOf(cause)}`, { cause });
  }
}
