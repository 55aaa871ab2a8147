import { open, readFile } from 'node:fs/promises';
import { SpiffeError } from '../spiffe/error.ts';

const MAX_BYTES = 4096;

/**
 * The process id in the first line of a file, as daemons write it (PostgreSQL writes more lines).
 *
 * @throws SpiffeError `FAILED_PRECONDITION`
 */
export async function readPidFile(path: string): Promise<number> {
  const text = await readStart(path);
  const [line = ''] = text.split('\n');
  const pid = /^\s*\d{1,9}\s*$/.test(line) ? Number(line) : 0;
  if (pid > 1) return pid;
  throw new SpiffeError('FAILED_PRECONDITION', `the first line of "${path}" is no process id above 1`);
}

async function readStart(path: string): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    const what = isMissing ? 'does not exist: the program may not run yet' : 'cannot be read';
    throw new SpiffeError('FAILED_PRECONDITION', `the file "${path}" of the process id ${what}`, { cause });
  }
}

/** What the kernel calls the program of a process; undefined where there is none. */
export async function findProgramName(pid: number): Promise<string | undefined> {
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => undefined))?.trimEnd();
}

/** @throws SpiffeError `FAILED_PRECONDITION` */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    const reason = code === 'ESRCH' ? 'it has ended' : code === 'EPERM' ? 'this user may not' : String(code);
    throw new SpiffeError('FAILED_PRECONDITION', `cannot send ${signal} to process ${pid}: ${reason}`, { cause });
  }
}
