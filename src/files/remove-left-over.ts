import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TEMPORARY_NAME } from './temporary-file.ts';

/** Whatever is younger may be somebody's who is writing it. */
const LEFT_OVER_AGE_MS = 60_000;

/** Removes what a program that was killed while it wrote has left in a folder: with its old content, and keys in it perhaps. */
export async function removeLeftOver(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((entry) => TEMPORARY_NAME.test(entry))) {
    const path = join(folder, name);
    const left = await lstat(path).catch(() => undefined);
    const isOurs = left !== undefined && (left.isFile() || left.isSymbolicLink());
    if (isOurs && Date.now() - left.mtimeMs > LEFT_OVER_AGE_MS) await rm(path, { force: true }).catch(() => {});
  }
}
