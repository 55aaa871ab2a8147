import { type ChildProcess, spawn } from 'node:child_process';
import { requireCommand } from '../../src/testing/required-tools.ts';

/** A process that the kernel kills when this one ends, however it does: tests that are killed leave no machine behind. */
export function spawnWithUs(command: string, args: readonly string[]): ChildProcess {
  const setpriv = requireCommand('setpriv', 'util-linux');
  return spawn(setpriv, ['--pdeathsig', 'KILL', command, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
}
