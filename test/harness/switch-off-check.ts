import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

/** One call of `requireCheck` or `requireRule` in the sources. */
export interface CheckSite {
  /** Such as `A4`. */
  readonly check: string;
  /** `A4/2`: the second call of that check, in order of path and position. */
  readonly name: string;
  /** Below the checkout. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly offset: number;
}

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const CALL = /\brequire(?:Check|Rule)\(\s*'([A-HP]\d+)'/g;

export function listCheckSites(): readonly CheckSite[] {
  const counts = new Map<string, number>();
  const paths = readdirSync(join(checkout, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('src', name))
    .toSorted();
  return paths.flatMap((path) => {
    const source = readFileSync(join(checkout, path), 'utf8');
    return [...source.matchAll(CALL)].map(({ index: offset, 1: check = '' }) => {
      const count = (counts.get(check) ?? 0) + 1;
      counts.set(check, count);
      return { check, name: `${check}/${count}`, path, line: source.slice(0, offset).split('\n').length, offset };
    });
  });
}

/**
 * Lets the tests run without a check: every call of it for a name such as `A4`, one call for `A4/2`. The call stays in the
 * source and is not reached; the product has no such switch.
 */
export function switchOffCheck(name: string): Plugin {
  const sites = listCheckSites().filter((site) => site.name === name || site.check === name);
  if (sites.length === 0) {
    throw new RangeError(`no check "${name}" in the sources`);
  }
  return {
    name: 'switch-off-check',
    enforce: 'pre',
    transform(code, id) {
      const path = relative(checkout, id.split('?')[0] ?? id);
      const offsets = sites.filter((site) => site.path === path).map((site) => site.offset);
      return offsets
        .toReversed()
        .reduce((changed, offset) => `${changed.slice(0, offset)}false && ${changed.slice(offset)}`, code);
    },
  };
}
