import { dirname } from 'node:path';
import { isWithin } from '../../plugin-host/sandbox/places.ts';
import { isBroad } from './broad-folders.ts';

/** So many files of a folder stand for the folder. */
const FILES_OF_A_FOLDER = 2;
/** So many folders of a folder stand for that one. */
const FOLDERS_OF_A_FOLDER = 3;

/**
 * The folder where several files of one were used, and the one above where several folders of one were: a file that is
 * replaced stays what it was in the sandbox, and a neighbour that comes later is there too.
 *
 * @param listed folders that are wanted whole
 */
export function foldersRatherThanFiles(paths: readonly string[], listed: ReadonlySet<string>): readonly string[] {
  const files = paths.filter((path) => !listed.has(path));
  const chosen = new Set(paths.filter((path) => listed.has(path)));
  for (const [folder, names] of byFolder(files)) {
    const isWhole = names.length >= FILES_OF_A_FOLDER && !isBroad(folder);
    for (const path of isWhole ? [folder] : names) chosen.add(path);
  }
  const folders = new Set([...chosen].filter((path) => listed.has(path) || !files.includes(path)));
  for (let merged = true; merged; ) {
    merged = false;
    for (const [folder, names] of byFolder([...folders])) {
      if (names.length < FOLDERS_OF_A_FOLDER || isBroad(folder)) continue;
      for (const name of names) folders.delete(name);
      folders.add(folder);
      merged = true;
    }
  }
  return [...folders, ...files.filter((path) => chosen.has(path))];
}

/** Without what is within another, in order. */
export function outermost(paths: readonly string[]): readonly string[] {
  const unique = [...new Set(paths)];
  return unique.filter((path) => !unique.some((other) => other !== path && isWithin(path, other))).sort();
}

function byFolder(paths: readonly string[]): Map<string, readonly string[]> {
  return Map.groupBy(paths, (path) => dirname(path));
}
