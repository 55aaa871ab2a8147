import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { debianPackages, updatePackageLists } from './debian-packages.js';
import { runCommand } from './run-command.js';
import { SetUpError } from './set-up-error.js';
import { stampFolder } from './stamps.js';

/** It depends on the newest kernel that Debian has for machines in a cloud. */
const KERNEL = 'linux-image-cloud-amd64';

/** The files of the kernel's package, as it would install them: `boot/vmlinuz-…`, `lib/modules/…`. */
export const kernelFolder = () => join(stampFolder, 'kernel');

/** What no package brings. */
const architecture = {
  isDone: () => process.arch === 'x64',
  title: () => 'looks whether this is a machine whose firmware and kernel can be had',
  run: () =>
    Promise.reject(
      new SetUpError(
        `the machine that the tests boot is an x86-64 one, and this is ${process.arch}: run them on x86-64`,
      ),
    ),
};

const packages = debianPackages([
  { name: 'qemu-system-x86', command: 'qemu-system-x86_64' },
  { name: 'ovmf', file: '/usr/share/OVMF/OVMF_CODE_4M.fd' },
  { name: 'e2fsprogs', command: 'mke2fs' },
  { name: 'libc-bin', command: 'ldd' },
  { name: 'libtss2-tcti-device0', library: 'libtss2-tcti-device.so.0' },
]);

/** Taken out of its package: to install it would make this machine boot it. */
const kernel = {
  isDone: () => existsSync(kernelFolder()),
  title: () => 'fetches a kernel to boot in a virtual machine',
  async run() {
    mkdirSync(stampFolder, { recursive: true });
    const work = mkdtempSync(join(stampFolder, 'kernel-'));
    try {
      await download(work).catch(async () => {
        await updatePackageLists([KERNEL]);
        await download(work);
      });
      const [archive] = readdirSync(work).filter((name) => name.endsWith('.deb'));
      await runCommand('dpkg', ['--extract', archive, 'files'], { cwd: work });
      renameSync(join(work, 'files'), kernelFolder());
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  },
};

/** To a folder. What it names first depends on the second, which has the files. */
async function download(folder) {
  const depends = execFileSync('apt-cache', ['depends', '--important', KERNEL], { encoding: 'utf8' });
  const [, name] = /^ +Depends: (linux-image-\S+)$/m.exec(depends) ?? [];
  if (name === undefined) throw new SetUpError(`the lists of apt do not tell what the package ${KERNEL} depends on`);
  await runCommand('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', 'download', name], { cwd: folder });
}

export const machineSteps = [architecture, packages, kernel];
