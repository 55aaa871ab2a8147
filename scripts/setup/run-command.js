import { spawn } from 'node:child_process';
import { SetUpError } from './set-up-error.js';

const SHOWN_LINES = { first: 20, last: 40 };

/**
 * Runs a command to its end, silently: what it printed is shown only where it fails.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv, stdin?: 'ignore' | 'inherit' }} options
 * @returns {Promise<void>}
 */
export function runCommand(command, args, { cwd, env = process.env, stdin = 'ignore' }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: [stdin, 'pipe', 'pipe'] });
    const output = [];
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
    child.on('error', (error) => reject(new SetUpError(`cannot run ${command}: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve();
      const lines = Buffer.concat(output).toString().trimEnd().split('\n');
      const line = [command, ...args].join(' ');
      reject(new SetUpError(`${abridge(lines).join('\n')}\n"${line}" ended with ${signal ?? `code ${code}`}`));
    });
  });
}

function abridge(lines) {
  const { first, last } = SHOWN_LINES;
  return lines.length <= first + last ? lines : [...lines.slice(0, first), '…', ...lines.slice(-last)];
}

/**
 * The environment without what an outer `npm run` put there: its configuration would override the arguments of tools that read it,
 * node-gyp's for one.
 *
 * @returns {NodeJS.ProcessEnv}
 */
export function environmentWithoutNpm() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_(config|package)_/i.test(name)));
}
