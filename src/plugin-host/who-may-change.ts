import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { quoteText } from '../spiffe/quote-text.ts';

const GROUP_WRITES = 0o020;
const ALL_WRITE = 0o002;
/** In such a folder everybody makes files, and nobody replaces those of others. */
const STICKY = 0o1000;

/**
 * Who, beside root and this program's user, can put something else in the place of a file, itself or by a folder above it.
 *
 * @returns a sentence's part; undefined where nobody can, or there is no such file.
 */
export async function findWhoMayChange(path: string): Promise<string | undefined> {
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined) return undefined;
  for (let at = real; ; at = dirname(at)) {
    const found = await stat(at).catch(() => undefined);
    if (found === undefined) return undefined;
    if (found.uid !== 0 && found.uid !== process.geteuid?.()) return `${quoteText(at)} belongs to user ${found.uid}`;
    const isShared = found.isDirectory() && (found.mode & STICKY) !== 0;
    if (!isShared && (found.mode & ALL_WRITE) !== 0) return `everybody may write to ${quoteText(at)}`;
    const isOwnGroup = found.gid === 0 || found.gid === process.getegid?.();
    if (!isShared && !isOwnGroup && (found.mode & GROUP_WRITES) !== 0) {
      return `group ${found.gid} may write to ${quoteText(at)}`;
    }
    if (at === dirname(at)) return undefined;
  }
}
