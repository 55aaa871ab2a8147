import { constants, open, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';

/**
 * Opens each file that a plugin's command line names, as this program's user, and reads nothing. IMA's policy `tcb` measures what root
 * opens, and of what others open only what they execute or map: the script of a plugin that runs as nobody would not be in its log.
 */
export async function openAsHost(args: readonly string[]): Promise<void> {
  await Promise.all(args.filter((each) => isAbsolute(each)).map(openFile));
}

/** What is no file is left alone: a pipe would be taken from whoever waits at it. Whoever needs a file that is not there says so. */
async function openFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) return;
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined);
  await file?.close();
}
