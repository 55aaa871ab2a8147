import { stat } from 'node:fs/promises';

/** A word that changes whenever the file is replaced or written; undefined where there is none. */
export async function findFileState(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ');
}
