import type { ProcessFolder } from '../process/process-folder.ts';

/** What the kernel puts behind the path of a file that has been removed. */
const DELETED = ' (deleted)';

/**
 * The path of the executable, as the process's own mount namespace names it. Of one that was removed since, or replaced
 * as an upgrade does, it is the path that it was started from.
 */
export async function readExecutablePath(process: ProcessFolder): Promise<string> {
  const path = process.readLink('exe');
  if (!path.endsWith(DELETED)) return path;
  await using file = await process.open('exe');
  const { nlink } = await file.stat();
  return nlink === 0 ? path.slice(0, -DELETED.length) : path; // a file may have such a name, too
}
