import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SpiffeError } from '../../spiffe/error.ts';

const MAX_FILES = 1000;
const MAX_DEPTH = 16;

/** Files with entries: `path` itself, or what is below it and named `*.yaml`, `*.yml` or `*.json`, in order. */
export async function findEntryFiles(path: string): Promise<readonly string[]> {
  const found: string[] = [];
  const isFolder = await stat(path).then(
    (entry) => entry.isDirectory(),
    (cause: Error) => {
      throw new SpiffeError('FILE_UNUSABLE', `"${path}" cannot be read: ${cause.message}`, { cause });
    },
  );
  if (!isFolder) return [path];
  await collect(path, 0, found);
  if (found.length === 0) {
    throw new SpiffeError('FILE_UNUSABLE', `the folder "${path}" has no file named *.yaml, *.yml or *.json`);
  }
  return found;
}

/** Names that begin with a dot are passed over: of editors, of git, and of Kubernetes where it mounts a ConfigMap. */
async function collect(folder: string, depth: number, found: string[]): Promise<void> {
  if (depth > MAX_DEPTH) throw new SpiffeError('TOO_LARGE', `"${folder}" is more than ${MAX_DEPTH} folders deep`);
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await collect(path, depth + 1, found);
    else if (/\.(?:ya?ml|json)$/i.test(entry.name)) found.push(path); // also a link to a file
    if (found.length > MAX_FILES) throw new SpiffeError('TOO_LARGE', `"${folder}" has more than ${MAX_FILES} files`);
  }
}
