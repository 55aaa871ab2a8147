import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Writes an archive, in the format of `docker save`, with one image of nothing but busybox, and a shell's link to it.
 *
 * @returns the path of the archive
 */
export async function writeImage(folder: string, names: readonly string[]): Promise<string> {
  const root = join(folder, 'root');
  for (const path of ['bin', 'host', 'out', 'etc', 'proc', 'dev', 'sys', 'tmp'])
    await mkdir(join(root, path), { recursive: true });
  await copyFile('/usr/bin/busybox', join(root, 'bin', 'busybox'));
  for (const link of ['sh', 'sleep', 'chroot']) await symlink('busybox', join(root, 'bin', link));
  await run('tar', ['--owner=0', '--group=0', '-cf', join(folder, 'layer.tar'), '-C', root, '.']);
  const digest = createHash('sha256')
    .update(await readFile(join(folder, 'layer.tar')))
    .digest('hex');
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/sleep', '1000000'], Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const manifest = [{ Config: 'config.json', RepoTags: names, Layers: ['layer.tar'] }];
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(folder, 'image.tar');
  await run('tar', ['-cf', archive, '-C', folder, 'manifest.json', 'config.json', 'layer.tar']);
  return archive;
}
