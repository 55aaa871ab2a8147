import { execFile } from 'node:child_process';
import { copyFile, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PROGRAMS = ['cat', 'echo', 'mkdir', 'sh', 'sleep', 'true'];

/** Writes an archive of the file system of an image that has a static busybox, and nothing else. */
export async function writeContainerRoot(folder: string): Promise<string> {
  const root = join(folder, 'root');
  await mkdir(join(root, 'bin'), { recursive: true });
  await copyFile('/bin/busybox', join(root, 'bin', 'busybox'));
  for (const name of PROGRAMS) await symlink('busybox', join(root, 'bin', name));
  const path = join(folder, 'root.tar');
  await run('tar', ['-C', root, '-c', '-f', path, '.']);
  return path;
}
