import { lstat, mkdir, mkdtemp, rename, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import type { ProjectFiles } from './template-files.ts';

/**
 * Makes a folder with files and links in it: all of it, or nothing.
 *
 * @param folder absolute path; whatever has that name stays as it is
 * @param links targets by their path in the folder
 * @throws SpiffeError `ALREADY_EXISTS`, `FILE_UNUSABLE`
 */
export async function publishProject(folder: string, files: ProjectFiles, links: ProjectFiles): Promise<void> {
  if ((await lstat(folder).catch(() => undefined)) !== undefined) throw alreadyExists(folder);
  let unfinished: string | undefined;
  try {
    unfinished = await mkdtemp(join(dirname(folder), `.${basename(folder)}-`));
    const root = join(unfinished, basename(folder)); // made here, since mkdtemp's is closed to others
    await mkdir(root);
    for (const [path, text] of files) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text, { flag: 'wx', flush: true });
    }
    for (const [path, target] of links) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await symlink(target, join(root, path));
    }
    await publish(root, folder);
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    throw new SpiffeError('FILE_UNUSABLE', `cannot make the folder "${folder}": ${reasonOf(cause)}`, { cause });
  } finally {
    if (unfinished !== undefined) await rm(unfinished, { recursive: true, force: true });
  }
}

/** A rename would go over an empty folder of somebody else's: over one that was made just now it may. */
async function publish(from: string, folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') throw alreadyExists(folder);
    throw cause;
  }
  try {
    await rename(from, folder);
  } catch (cause) {
    await rmdir(folder);
    throw cause;
  }
}

function alreadyExists(folder: string): SpiffeError {
  return new SpiffeError('ALREADY_EXISTS', `"${folder}" exists already: nothing was written, take another name`);
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOSPC') return 'no space is left on its file system';
  if (code === 'EROFS') return 'its file system is read-only';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  return messageOf(cause);
}
