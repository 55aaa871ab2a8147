import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { SpiffeError } from '../spiffe/error.ts';

export interface ListedFile {
  readonly path: string;
  readonly name: string;
  readonly content: Uint8Array;
}

/**
 * The file at `path`, or every file in that folder by name, without those that begin with a dot.
 *
 * @param key names the setting in errors
 * @throws SpiffeError `CONFIG_INVALID` when it cannot be read, or the folder holds none
 */
export async function readListedFiles(key: string, path: string): Promise<readonly ListedFile[]> {
  try {
    const paths = (await isFolder(path)) ? await filesIn(path) : [path];
    if (paths.length === 0) {
      throw new SpiffeError('CONFIG_INVALID', `${key}: the folder "${path}" holds no file`);
    }
    return await Promise.all(
      paths.map(async (file) => ({ path: file, name: basename(file), content: await readFile(file) })),
    );
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    throw new SpiffeError('CONFIG_INVALID', `${key}: "${path}" cannot be read: ${reasonOf(cause)}`, { cause });
  }
}

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path)).isDirectory();
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.')).toSorted();
  const paths = names.map((name) => join(folder, name));
  const kinds = await Promise.all(paths.map((path) => stat(path)));
  return paths.filter((_, position) => kinds[position]?.isFile());
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'it is not readable';
}
