import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from './checkout.js';

/**
 * SHA-256 over the names and contents of files and over some words, in hexadecimal.
 *
 * @param {{ paths: readonly string[], words?: readonly string[], isWanted?: (path: string) => boolean }} options `paths` are files or
 *   folders below the checkout; one that is absent counts as such
 * @returns {string}
 */
export function fingerprint({ paths, words = [], isWanted = () => true }) {
  const hash = createHash('sha256').update(JSON.stringify(words));
  for (const path of paths.flatMap((path) => listFiles(path)).filter(isWanted)) {
    const content = readFileSync(join(checkout, path));
    hash.update(`\n${path} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

/**
 * Every file at or below a path of the checkout, sorted; none where the path is absent.
 *
 * @param {string} path
 * @returns {string[]}
 */
export function listFiles(path) {
  const found = statSync(join(checkout, path), { throwIfNoEntry: false });
  if (found === undefined) return [];
  if (!found.isDirectory()) return [path];
  return readdirSync(join(checkout, path))
    .sort()
    .flatMap((name) => listFiles(join(path, name)));
}
