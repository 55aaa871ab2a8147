import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from './checkout.js';
import { runCommand } from './run-command.js';

/**
 * Installs the packages of a list with the hash of every file, and nothing else, into a folder that becomes theirs.
 *
 * @param {string} requirements a file, below the checkout
 * @param {string} folder below the checkout
 */
export async function installPythonPackages(requirements, folder) {
  const target = join(checkout, folder);
  rmSync(target, { recursive: true, force: true });
  const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--no-compile', '--only-binary=:all:'];
  const what = ['--require-hashes', '--requirement', requirements, '--target', target];
  await runCommand('pip3', ['install', ...options, ...what], { cwd: checkout });
}
