import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

/** What {@link temporaryPath} makes, so that what was left over can be told. */
export const TEMPORARY_NAME = /^\.[0-9a-f]{16}\.tmp$/;

/** For what is put in place by a rename or a link: a name in the same folder that nobody guesses. */
export function temporaryPath(folder: string): string {
  return join(folder, `.${randomBytes(8).toString('hex')}.tmp`);
}

/** Makes sure that names which were given, or taken, in a folder stay so after a power failure. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}
