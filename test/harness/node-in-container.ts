import { dirname, resolve } from 'node:path';

const CHECKOUT = resolve(import.meta.dirname, '../..');

/** Options that show a container what Node needs to run files of this checkout, all of it read-only. */
export const NODE_OPTIONS: readonly string[] = [
  ...['/usr', '/lib', '/lib64', '/etc', CHECKOUT, dirname(process.execPath)].flatMap((path) => [
    '--volume',
    `${path}:${path}:ro`,
  ]),
  '--tmpfs',
  '/tmp',
];

/** The command line of a file of this checkout. */
export function nodeCommand(path: string, ...args: readonly string[]): readonly string[] {
  return [process.execPath, resolve(CHECKOUT, path), ...args];
}
