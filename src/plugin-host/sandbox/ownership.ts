import type { Dirent } from 'node:fs';
import { lchown, lstat, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWithin } from './places.ts';

/** The rights of everybody to write. */
const WRITABLE_BY_ALL = 0o002;

/**
 * Why a folder cannot be given to a plugin's user; undefined where it can: it is the host's or that user's already, and
 * nobody else has things in it.
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
  if ((found.mode & WRITABLE_BY_ALL) !== 0) return `everybody may write to the folder "${path}"`;
  if (found.uid === userId || found.uid === process.geteuid?.()) return undefined;
  return `the folder "${path}" belongs to user ${found.uid}`;
}

/**
 * Gives a folder and all in it to a user; nothing is done where it is that user's already. Links are not followed, and
 * a file that has a second name is left alone: it may be somebody else's.
 */
export async function giveFolder(path: string, userId: number): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || found.uid === userId) return;
  await giveBelow(path, userId);
  await lchown(path, userId, userId);
}

async function giveBelow(folder: string, userId: number): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) await giveEntry(folder, entry, userId);
}

async function giveEntry(folder: string, entry: Dirent, userId: number): Promise<void> {
  const path = join(folder, entry.name);
  const found = await lstat(path);
  if (!found.isDirectory() && found.nlink > 1) return;
  if (found.isDirectory()) await giveBelow(path, userId);
  await lchown(path, userId, userId);
}
