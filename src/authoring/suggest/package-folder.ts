import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isBroad } from './broad-folders.ts';
import type { ObservedRun } from './suggestion.ts';

/** How far above a script its package may begin. */
const MAX_DEPTH = 12;

/** Folders of the packages that scripts among the command and its arguments belong to: their modules are in there. */
export async function findPackageFolders({ command, args }: ObservedRun): Promise<readonly string[]> {
  const scripts = [
    command,
    ...args.filter((argument) => !argument.startsWith('-')).map((argument) => resolve(argument)),
  ];
  const found = await Promise.all(scripts.map(findPackageFolder));
  return [...new Set(found.filter((folder) => folder !== undefined))];
}

/** The outermost `node_modules` of each path: of what is in there, another version reads another part. */
export function moduleFolders(paths: readonly string[]): readonly string[] {
  return [...new Set(paths.flatMap((path) => /^(.+?\/node_modules)\//.exec(path)?.[1] ?? []))];
}

async function findPackageFolder(script: string): Promise<string | undefined> {
  let folder = dirname(script);
  for (let depth = 0; depth < MAX_DEPTH && !isBroad(folder) && folder !== '/'; depth++, folder = dirname(folder)) {
    const found = await stat(join(folder, 'package.json')).catch(() => undefined);
    if (found?.isFile()) return folder;
  }
  return undefined;
}
