import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';

/**
 * Waits for a word or the end of who started it. Where the end comes without a word, what is there goes, for as long as
 * something that ends at the same time may still write into it.
 */
const WAIT = 'read -r _ || for _ in 1 2 3 4 5; do rm -rf -- "$0"; sleep 1; done';

/**
 * A folder that goes with this process, also where that is killed and cannot do it itself: a shell in a session of its own
 * sees the end.
 */
export function removedAfterUs(folder: string): AsyncDisposable {
  const shell = spawn('/bin/sh', ['-c', WAIT, folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  const ended = once(shell, 'exit').catch(() => undefined); // without a shell, the folder stays where we are killed
  shell.stdin.on('error', () => undefined);
  shell.unref();
  if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref();
  return {
    [Symbol.asyncDispose]: async () => {
      await rm(folder, { recursive: true, force: true });
      shell.stdin.end('removed\n');
      shell.ref();
      await ended;
    },
  };
}
