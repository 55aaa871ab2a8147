import { chown, constants, type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPath } from '../../files/open-path.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { isWithin } from './places.ts';

/** The rights of everybody to write. */
const WRITABLE_BY_ALL = 0o002;
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY;
/** Each takes descriptors of this process. */
const MAX_DEPTH = 100;

/**
 * Why a folder cannot be given to a plugin's user; undefined where it can: it is the host's and nobody else has things in
 * it, or it is that user's already, whatever that has made of it.
 */
export async function reasonNotToOwn(
  path: string,
  { userId, dataDir }: { readonly userId: number; readonly dataDir: string | undefined },
): Promise<string | undefined> {
  const shared = [dataDir, tmpdir()].filter((folder) => folder !== undefined);
  if (shared.some((folder) => isWithin(folder, path))) {
    return `the folder "${path}" has files of others in it: give the plugin one of its own`;
  }
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || !found.isDirectory()) return `"${path}" is no folder`;
  if (found.uid === userId) return undefined;
  if ((found.mode & WRITABLE_BY_ALL) !== 0) return `everybody may write to the folder "${path}"`;
  if (found.uid === process.geteuid?.()) return undefined;
  return `the folder "${path}" belongs to user ${found.uid}`;
}

/**
 * Gives a folder and all in it to a user; nothing is done where it is that user's already. Links are not followed, and
 * a file that has a second name is left alone: it may be somebody else's. Somebody who has the folder meanwhile may move
 * things in it: every step is by a descriptor, not by a name that may have become another's.
 */
export async function giveFolder(path: string, userId: number): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || found.uid === userId) return;
  await using folder = await open(path, FOLDER | constants.O_NOFOLLOW);
  await giveBelow(folder, userId, 0);
  await give(folder, userId);
}

async function giveBelow(folder: FileHandle, userId: number, depth: number): Promise<void> {
  if (depth > MAX_DEPTH) throw new SpiffeError('FILE_UNUSABLE', `folders are nested more than ${MAX_DEPTH} deep`);
  for (const name of await readdir(pathOf(folder), { encoding: 'buffer' })) {
    await using entry = await openEntry(folder, name);
    const found = await entry?.stat();
    if (entry === undefined || found === undefined || found.isSymbolicLink()) continue;
    if (!found.isDirectory() && found.nlink > 1) continue;
    if (found.isDirectory()) {
      await using below = await open(pathOf(entry), FOLDER);
      await giveBelow(below, userId, depth + 1);
    }
    await give(entry, userId);
  }
}

/** Undefined where it has gone meanwhile. */
async function openEntry(folder: FileHandle, name: Buffer): Promise<FileHandle | undefined> {
  try {
    const path = Buffer.concat([Buffer.from(join(pathOf(folder), '/')), name]);
    return await openPath(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function give(entry: FileHandle, userId: number): Promise<void> {
  await chown(pathOf(entry), userId, userId);
}

/** Leads to the very file that is open: proc_pid_fd(5). */
function pathOf({ fd }: FileHandle): string {
  return `/proc/self/fd/${fd}`;
}
