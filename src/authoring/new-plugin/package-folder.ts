import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SpiffeError } from '../../spiffe/error.ts';

/** The package that this program is part of. */
export interface OwnPackage {
  readonly folder: string;
  readonly version: string;
  /** Of tools that a project needs as well, as they were tried here. */
  readonly toolVersions: Readonly<Record<string, string>>;
}

const TOOLS = ['@types/node', 'esbuild', 'typescript'];

/** Finds the package above this file, bundled or not. */
export async function findOwnPackage(): Promise<OwnPackage> {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const found = await readPackage(folder);
    if (found !== undefined) return found;
    if (dirname(folder) === folder) throw new SpiffeError('INTERNAL', 'the package of this program is not there');
  }
}

async function readPackage(folder: string): Promise<OwnPackage | undefined> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { name, version, devDependencies = {} }: PackageFile = JSON.parse(text);
  if (name !== 'assayer' || version === undefined) return undefined;
  const toolVersions = Object.fromEntries(TOOLS.map((tool) => [tool, devDependencies[tool] ?? 'latest']));
  return { folder, version, toolVersions };
}

interface PackageFile {
  readonly name?: string;
  readonly version?: string;
  readonly devDependencies?: Readonly<Record<string, string>>;
}
