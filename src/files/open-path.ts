import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Names a file without opening it; not among Node's constants. Source: open(2), the same on all machines with Node. */
const O_PATH = 0o10000000;

/** What is at `path`, a link as a link: not to be read, but looked at and led to by its descriptor. @param flags besides. @throws as open(2) */
export async function openPath(path: string | Buffer, flags = 0): Promise<FileHandle> {
  return await open(path, O_PATH | constants.O_NOFOLLOW | flags);
}
