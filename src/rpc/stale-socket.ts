import { lstat, unlink } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { messageOf, SpiffeError } from '../spiffe/error.ts';

/** How long whoever holds a socket file has to accept, before the file counts as in use. */
const PROBE_MS = 1_000;

/**
 * Removes the socket of a process that has ended. One that somebody listens on stays.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`, saying what to do.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const before = await lstat(path).catch(() => undefined);
  if (before === undefined) return;
  if (!before.isSocket())
    throw unusable(path, 'something that is no socket is there, remove it or choose another path');
  const verdict = await probe(path);
  if (verdict === 'answers') throw unusable(path, 'another process listens on it, stop that or choose another path');
  if (verdict !== 'ECONNREFUSED' && verdict !== 'ENOENT') {
    throw unusable(path, `a socket is there and cannot be tried (${verdict}), remove it or choose another path`);
  }
  const now = await lstat(path).catch(() => undefined);
  if (now === undefined || now.ino !== before.ino) return;
  await unlink(path).catch((cause: unknown) => {
    throw unusable(path, `the socket of a process that has ended cannot be removed: ${messageOf(cause)}`, cause);
  });
}

/** Tries to connect. @returns `answers`, or the code of the system's error. */
function probe(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const settle = (verdict: string) => {
      socket.destroy();
      resolve(verdict);
    };
    socket.setTimeout(PROBE_MS, () => settle('answers'));
    socket.once('connect', () => settle('answers'));
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
  });
}

export function unusable(path: string, reason: string, cause?: unknown): SpiffeError {
  return new SpiffeError('SOCKET_UNUSABLE', `cannot listen on the socket "${path}": ${reason}`, { cause });
}
