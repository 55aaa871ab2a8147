import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SpiffeError } from '../spiffe/error.ts';

/** Where Debian keeps commands that the search path of an ordinary user leaves out. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];
const LIBRARY_FOLDERS = ['/usr/local/lib', '/usr/lib', '/usr/lib64', '/lib', '/lib64'];

/**
 * The path of a command that a fixture runs.
 *
 * @param debianPackage what brings it on Debian and Ubuntu
 * @throws SpiffeError `FAILED_PRECONDITION` that says what to install
 */
export function requireCommand(name: string, debianPackage: string): string {
  const found = findCommand(name);
  if (found === undefined) throw missing(`the command ${name}`, debianPackage);
  return found;
}

/** The path of a command that a fixture can do without. */
export function findCommand(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''), ...SYSTEM_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/**
 * The path of a library, also in the folder that Debian has for an architecture.
 *
 * @param name below a folder of libraries, such as `softhsm/libsofthsm2.so`
 * @throws SpiffeError `FAILED_PRECONDITION` that says what to install
 */
export function requireLibrary(name: string, debianPackage: string): string {
  const multiarch = existsSync('/usr/lib')
    ? readdirSync('/usr/lib').filter((folder) => folder.includes('-linux-'))
    : [];
  const folders = [...LIBRARY_FOLDERS, ...multiarch.map((folder) => join('/usr/lib', folder))];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found === undefined) throw missing(`the library ${name}`, debianPackage);
  return found;
}

function missing(what: string, debianPackage: string): SpiffeError {
  return new SpiffeError(
    'FAILED_PRECONDITION',
    `${what} is missing: install the package ${debianPackage} (apt-get install ${debianPackage})`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
