import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The version of the package that this file, bundled or not, is part of. */
export async function readVersion(): Promise<string> {
  const here = dirname(fileURLToPath(import.meta.url));
  const path = import.meta.url.endsWith('.ts')
    ? join(here, '..', '..', 'package.json')
    : join(here, '..', 'package.json');
  const { version }: { version?: unknown } = JSON.parse(await readFile(path, 'utf8'));
  return typeof version === 'string' ? version : 'of unknown version';
}
