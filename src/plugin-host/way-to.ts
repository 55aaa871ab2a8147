import { lstat, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';

/** One name that the kernel looks up on its way. */
export interface Step {
  /** Without symbolic links in it. */
  readonly path: string;
  readonly userId: number;
  readonly isLink: boolean;
}

/** Source: path_resolution(7). */
const MAX_LINKS = 40;

/**
 * Every name between the root and what an absolute path leads to, links and what they lead to among them: whoever owns a
 * link decides where the rest of the way goes.
 *
 * @returns the steps in their order; the last is what is there.
 * @throws what lstat(2) says of the first that is not there; SpiffeError `FILE_UNUSABLE` for links that lead in circles
 */
export async function wayTo(path: string): Promise<readonly Step[]> {
  const steps: Step[] = [];
  const names = namesIn(path);
  let links = 0;
  let place = '/';
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '..') {
      place = dirname(place);
      continue;
    }
    const next = join(place, name);
    const { uid: userId, isLink } = await look(next);
    steps.push({ path: next, userId, isLink });
    if (!isLink) {
      place = next;
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) throw new SpiffeError('FILE_UNUSABLE', `${quoteText(path)} leads in circles`);
    const target = await readlink(next);
    if (target.startsWith('/')) place = '/';
    names.unshift(...namesIn(target));
  }
  return steps;
}

function namesIn(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

async function look(path: string): Promise<{ readonly uid: number; readonly isLink: boolean }> {
  const found = await lstat(path);
  return { uid: found.uid, isLink: found.isSymbolicLink() };
}
