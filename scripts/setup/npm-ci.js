import { basename } from 'node:path';
import { runCommand } from './run-command.js';

/**
 * `npm ci` in a folder, by the npm that called us or the one in PATH. No package here needs an install script, and npm's warnings about a
 * Node older than what a package asks for do not matter: the packages run on the Node of `runtime.js`.
 *
 * @param {string} folder
 */
export async function npmCi(folder) {
  const args = [
    'ci',
    '--loglevel=error',
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
  ];
  const npm = process.env.npm_execpath;
  const isNpm = npm !== undefined && basename(npm) === 'npm-cli.js';
  const options = { cwd: folder };
  await (isNpm ? runCommand(process.execPath, [npm, ...args], options) : runCommand('npm', args, options));
}
