import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, readlink } from 'node:fs/promises';
import { resolve } from 'node:path';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { isMissingFile } from './is-missing-file.ts';
import { openPath } from './open-path.ts';

/** As many as the kernel follows. */
const MAX_LINKS = 40;

/**
 * Opens what a path leads to, by a way that nobody can change but root and this program's user: name by name, each in the folder
 * that was opened before. A symbolic link counts only where root or this user has made it, in a folder where nobody else can put
 * another in its place. A folder that somebody else could exchange has to be one itself: he can give another of his own, but
 * none of anybody else's.
 *
 * @param what it is to whoever configured it, such as `the folder "/etc/app" of cert_dir`
 * @param flags for the last one, beside O_NOFOLLOW
 * @throws SpiffeError `FILE_UNUSABLE`, with the system's error as the cause where there is none
 */
export async function openHeldPath(path: string, what: string, flags = constants.O_RDONLY): Promise<FileHandle> {
  let folder = await openPath('/', constants.O_DIRECTORY);
  let names = resolve(path).split('/').filter(Boolean);
  try {
    for (let links = 0; ; ) {
      const [name, ...rest] = names;
      if (name === undefined) return await open(below(folder, '.'), flags);
      const place = below(folder, name);
      const found = await lstat(place);
      if (found.isSymbolicLink()) {
        requireTrustedLink(found, await folder.stat(), `${what} leads by way of the symbolic link "${name}"`);
        links += 1;
        if (links > MAX_LINKS)
          throw new SpiffeError('FILE_UNUSABLE', `${what} leads by way of too many symbolic links`);
        const target = await readlink(place);
        if (target.startsWith('/')) folder = await replace(folder, '/');
        names = [...target.split('/').filter((part) => part !== '' && part !== '.'), ...rest];
      } else if (rest.length === 0) {
        return await open(place, flags | constants.O_NOFOLLOW);
      } else {
        folder = await replace(folder, place);
        names = rest;
      }
    }
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    throw new SpiffeError('FILE_UNUSABLE', `${what} cannot be opened: ${messageOf(cause)}`, { cause });
  } finally {
    await folder.close();
  }
}

/** Whether {@link openHeldPath} failed because there is nothing. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && isMissingFile(error.cause);
}

/** The path of a name in a folder that is held: it stays there, whatever becomes of the folder's own name. */
export function below({ fd }: FileHandle, name: string): string {
  return `/proc/self/fd/${fd}/${name}`;
}

async function replace(folder: FileHandle, path: string): Promise<FileHandle> {
  const next = await openPath(path, constants.O_DIRECTORY);
  await folder.close();
  return next;
}

function requireTrustedLink(link: Stats, folder: Stats, what: string): void {
  const isOurs = ({ uid }: Stats) => uid === 0 || uid === process.geteuid?.();
  const mayOthersReplace = (folder.mode & 0o022) !== 0 && (folder.mode & 0o1000) === 0; // or it is sticky
  if (isOurs(link) && isOurs(folder) && !mayOthersReplace) return;
  const whose = isOurs(link) ? `user ${folder.uid}, or whoever else may write to its folder,` : `user ${link.uid}`;
  throw new SpiffeError('FILE_UNUSABLE', `${what}, which ${whose} could let lead anywhere: name the place itself`);
}
