import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, dirname } from 'node:path';

const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'];

/**
 * Gives the terminal to a program on the given Node and becomes what it is: signals go to it, its end is ours. At a terminal, and below
 * npm, the program sees one Ctrl-C several times: it has to take the second as the first.
 *
 * @param {import('./runtime.js').Runtime} runtime
 * @param {readonly string[]} args
 * @returns {Promise<never>}
 */
export async function runInForeground(runtime, args) {
  const { code, signal } = await runToEnd(runtime, args);
  process.exit(signal === null ? code : 128 + constants.signals[signal]);
}

/**
 * The same without leaving.
 *
 * @param {import('./runtime.js').Runtime} runtime
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} [variables] besides ours
 * @returns {Promise<{ code: number | null, signal: NodeJS.Signals | null }>}
 */
export function runToEnd({ path }, args, variables = {}) {
  const env = { ...process.env, ...variables, PATH: [dirname(path), process.env.PATH].join(delimiter) };
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, { stdio: 'inherit', env });
    for (const signal of PASSED_ON) process.on(signal, () => child.kill(signal));
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
}
