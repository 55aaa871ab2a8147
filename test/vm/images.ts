import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { chmod, copyFile, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { requireCommand, requireLibrary } from '../../src/testing/required-tools.ts';
import type { Kernel } from './kernel.ts';

const run = promisify(execFile);
const CHECKOUT = resolve(import.meta.dirname, '../..');
const GUEST = join(import.meta.dirname, 'guest');
const DISK_MIB = 320;

/** SHA-256 of files in hex, by the paths that they have in the machine. */
export type FileDigests = ReadonlyMap<string, string>;

/**
 * The first files of the machine, which the kernel unpacks into memory: busybox, modules, and a script that finds the disk.
 *
 * @param path where it goes
 * @param folder that may be filled
 * @param motd a line of a file in it that nothing reads
 * @returns what is in it
 */
export async function makeInitramfs(
  path: string,
  folder: string,
  { modules }: Kernel,
  motd: string,
): Promise<FileDigests> {
  const busybox = requireCommand('busybox', 'busybox-static');
  await mkdir(join(folder, 'bin'), { recursive: true });
  await mkdir(join(folder, 'modules'));
  await copyFile(busybox, join(folder, 'bin', 'busybox'));
  await copyExecutable(join(GUEST, 'initramfs-init'), join(folder, 'init'));
  for (const module of modules) await copyFile(module, join(folder, 'modules', basename(module)));
  await writeFile(join(folder, 'modules', 'order'), `${modules.map((module) => basename(module)).join('\n')}\n`);
  await writeFile(join(folder, 'motd'), `${motd}\n`);
  await run('sh', ['-c', `cd "$1" && find . | sort | "$2" cpio -o -H newc >"$3"`, 'sh', folder, busybox, path]);
  return await digestsBelow(folder);
}

/**
 * The disk of the machine, an ext4 file system: Node that runs here, this checkout as it is built, and busybox.
 *
 * @param path where it goes
 * @param folder that may be filled
 * @param change what is to be another than on other disks, given the folder
 * @returns what is on it
 */
export async function makeDisk(
  path: string,
  folder: string,
  change: (folder: string) => Promise<void> = () => Promise.resolve(),
): Promise<FileDigests> {
  const folders = ['dev', 'proc', 'sys', 'run', 'tmp', 'etc', 'usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64'];
  for (const each of folders) await mkdir(join(folder, each), { recursive: true });
  for (const each of ['bin', 'sbin', 'lib', 'lib64']) await symlink(`usr/${each}`, join(folder, each));
  await writeFile(join(folder, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await writeFile(join(folder, 'etc', 'group'), 'root:x:0:\n');
  await installBusybox(join(folder, 'usr', 'bin'));
  await copyExecutable(join(GUEST, 'disk-init'), join(folder, 'sbin', 'init'));
  await installAssayer(folder);
  await change(folder);
  await run(requireCommand('mke2fs', 'e2fsprogs'), [
    ...['-q', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', folder, path, `${DISK_MIB}M`],
  ]);
  const digests = await digestsBelow(folder);
  await rm(folder, { recursive: true });
  return digests;
}

async function digestsBelow(folder: string): Promise<FileDigests> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const digests = paths.map(
    async (path) => [`/${relative(folder, path)}`, hash('sha256', await readFile(path))] as const,
  );
  return new Map(await Promise.all(digests));
}

async function installBusybox(folder: string): Promise<void> {
  const busybox = requireCommand('busybox', 'busybox-static');
  await copyFile(busybox, join(folder, 'busybox'));
  const { stdout } = await run(busybox, ['--list']);
  const applets = stdout.trim().split('\n');
  for (const applet of applets.filter((name) => name !== 'busybox')) await symlink('busybox', join(folder, applet));
}

/** As `npm pack` has it, in /opt/assayer, with Node in PATH and every library that they load. */
async function installAssayer(folder: string): Promise<void> {
  const target = join(folder, 'opt', 'assayer');
  const addons = join('native', 'build', 'Release');
  await cp(join(CHECKOUT, addons), join(target, addons), { recursive: true });
  for (const each of ['bin', 'dist', 'package.json']) {
    await cp(join(CHECKOUT, each), join(target, each), {
      recursive: true,
      filter: (source) => !source.endsWith('.map') && source !== join(CHECKOUT, 'dist', 'types'),
    });
  }
  await copyFile(process.execPath, join(folder, 'usr', 'bin', 'node'));
  const tcti = requireLibrary('libtss2-tcti-device.so.0', 'libtss2-tcti-device0');
  const loaders = [
    process.execPath,
    tcti,
    ...['key', 'peer', 'tpm'].map((name) => join(CHECKOUT, addons, `${name}.node`)),
  ];
  for (const library of new Set([tcti, ...(await librariesOf(loaders))])) {
    await mkdir(join(folder, dirname(library)), { recursive: true });
    await copyFile(library, join(folder, library));
  }
}

/** By their paths here: where the loader looks for them, too. */
async function librariesOf(files: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await run('ldd', [...files]);
  const missing = /^\s*(\S+) => not found$/m.exec(stdout);
  if (missing !== null) throw new Error(`a library is missing: ${missing[1]}`);
  return stdout.split('\n').flatMap((line) => /^\t(?:\S+ => )?(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

async function copyExecutable(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await chmod(to, 0o755);
}
