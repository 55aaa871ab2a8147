import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Moves every file of one folder to the same place in another, each in one step, then removes what the other has beyond them.
 *
 * @param {string} source
 * @param {string} target on the same file system
 */
export function publishFolder(source, target) {
  const wanted = new Set(listBelow(source));
  for (const path of wanted) {
    mkdirSync(dirname(join(target, path)), { recursive: true });
    renameSync(join(source, path), join(target, path));
  }
  mkdirSync(target, { recursive: true });
  for (const path of listBelow(target)) {
    if (!wanted.has(path)) rmSync(join(target, path), { force: true });
  }
}

function listBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}
