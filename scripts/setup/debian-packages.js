import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { checkout } from './checkout.js';
import { runCommand } from './run-command.js';
import { SetUpError } from './set-up-error.js';

const LIBRARY_FOLDERS = ['/usr/lib', '/usr/lib64', '/usr/local/lib', '/lib', '/lib64'];

/**
 * The step that installs packages of Debian where what proves them is not there.
 *
 * @typedef {{ name: string, command?: string, header?: string, library?: string, postgres?: string, file?: string }} Required
 *   a package, and one file by which it is known to be there
 * @param {readonly Required[]} required
 */
export const debianPackages = (required) => ({
  isDone: () => missingPackages(required).length === 0,
  title: () => `installs ${missingPackages(required).join(', ')}`,
  async run() {
    const missing = missingPackages(required);
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
      await updatePackageLists(missing);
      await runCommand(install[0], install.slice(1), options);
    }
    const still = missingPackages(required);
    if (still.length > 0) throw new SetUpError(`still missing after apt-get: ${still.join(', ')}`);
  },
});

/**
 * @param {readonly string[]} wanted the packages that they are needed for
 * @returns {Promise<void>}
 */
export async function updatePackageLists(wanted) {
  const [command, ...args] = [...aptCommand(wanted), '-q', '-o', 'DPkg::Lock::Timeout=300', 'update'];
  await runCommand(command, args, { cwd: checkout, stdin: 'inherit' });
}

function missingPackages(required) {
  return required.filter((one) => !isInstalled(one)).map(({ name }) => name);
}

function isInstalled({ command, header, library, postgres, file }) {
  if (file !== undefined) return existsSync(file);
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
