import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { checkout } from './checkout.js';
import { runCommand } from './run-command.js';
import { SetUpError } from './set-up-error.js';

/** The Debian packages that the addons, the demonstration and the tests need, each with a file that proves it is there. */
const REQUIRED = [
  { name: 'swtpm', command: 'swtpm' },
  { name: 'swtpm-tools', command: 'swtpm_setup' },
  { name: 'tpm2-tools', command: 'tpm2' },
  { name: 'libtss2-dev', header: 'tss2/tss2_esys.h' },
  { name: 'libtss2-tcti-swtpm0', library: 'libtss2-tcti-swtpm.so.0' },
  { name: 'softhsm2', command: 'softhsm2-util' },
  { name: 'opensc', command: 'pkcs11-tool' },
  { name: 'openssl', command: 'openssl' },
  { name: 'postgresql', postgres: 'initdb' },
  { name: 'pgbouncer', command: 'pgbouncer' },
  { name: 'docker.io', command: 'dockerd' },
  { name: 'podman', command: 'podman' },
  { name: 'runc', command: 'runc' },
  { name: 'busybox-static', command: 'busybox' },
  { name: 'mariadb-server-core', command: 'mariadbd' },
  { name: 'mariadb-client-core', command: 'mariadb' },
  { name: 'nginx', command: 'nginx' },
  { name: 'haproxy', command: 'haproxy' },
  { name: 'curl', command: 'curl' },
  { name: 'iproute2', command: 'ip' },
  { name: 'systemd-container', command: 'systemd-nspawn' },
  { name: 'systemd', library: 'systemd/systemd' },
  { name: 'dbus', library: 'systemd/system/dbus.socket' },
  { name: 'python3', command: 'python3' },
  { name: 'python3-pip', command: 'pip3' },
  { name: 'g++', command: 'g++' },
  { name: 'make', command: 'make' },
  { name: 'pkg-config', command: 'pkg-config' },
];

const LIBRARY_FOLDERS = ['/usr/lib', '/usr/lib64', '/usr/local/lib', '/lib', '/lib64'];

export const systemPackages = {
  isDone: () => missingPackages().length === 0,
  title: () => `installs ${missingPackages().join(', ')}`,
  async run() {
    const missing = missingPackages();
    if (!hasCommand('apt-get')) {
      throw new SetUpError(
        `install what is missing, then try again: ${missing.join(', ')} (names of Debian's packages)`,
      );
    }
    const apt = aptCommand(missing);
    const options = { cwd: checkout, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, stdin: 'inherit' };
    const install = [
      ...apt,
      '-q',
      '-y',
      '-o',
      'DPkg::Lock::Timeout=300',
      '--no-install-recommends',
      'install',
      ...missing,
    ];
    try {
      if (!hasPackageLists()) throw new SetUpError('there are no package lists yet');
      await runCommand(install[0], install.slice(1), options);
    } catch {
      // The lists are absent or too old to name files that the mirror still has.
      const update = [...apt, '-q', '-o', 'DPkg::Lock::Timeout=300', 'update'];
      await runCommand(update[0], update.slice(1), options);
      await runCommand(install[0], install.slice(1), options);
    }
    const still = missingPackages();
    if (still.length > 0) throw new SetUpError(`still missing after apt-get: ${still.join(', ')}`);
  },
};

function missingPackages() {
  return REQUIRED.filter((required) => !isInstalled(required)).map(({ name }) => name);
}

function isInstalled({ command, header, library, postgres }) {
  if (command !== undefined) return hasCommand(command);
  if (header !== undefined)
    return ['/usr/include', '/usr/local/include'].some((folder) => existsSync(join(folder, header)));
  if (postgres !== undefined) return postgresFolders().some((folder) => existsSync(join(folder, postgres)));
  return libraryFolders().some((folder) => existsSync(join(folder, library)));
}

/** Debian keeps the programs of every version of PostgreSQL in a folder of its own, which is not in PATH. */
function postgresFolders() {
  const versions = '/usr/lib/postgresql';
  return existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, 'bin')) : [];
}

/** Debian keeps the libraries of an architecture in a folder of its own, such as /usr/lib/x86_64-linux-gnu. */
function libraryFolders() {
  const multiarch = readdirSync('/usr/lib').filter((name) => name.includes('-linux-'));
  return [...LIBRARY_FOLDERS, ...multiarch.map((name) => join('/usr/lib', name))];
}

function hasCommand(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}

function hasPackageLists() {
  const lists = '/var/lib/apt/lists';
  return existsSync(lists) && readdirSync(lists).some((name) => name.includes('_Packages'));
}

function aptCommand(missing) {
  if (process.getuid?.() === 0) return ['apt-get'];
  if (hasCommand('sudo')) return ['sudo', 'apt-get'];
  throw new SetUpError(`neither root nor sudo is at hand; as root, run: apt-get install ${missing.join(' ')}`);
}
