import { constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isMissing, openHeldPath } from '../files/held-path.ts';
import { statusField } from '../rpc/process-fields.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';

const MAX_BYTES = 4096;

/**
 * The process id in the first line of a file, as daemons write it (PostgreSQL writes more lines). A file of another user than
 * root and this program's may name processes of that user alone: he could have a signal sent to any.
 *
 * @throws SpiffeError `FAILED_PRECONDITION`
 */
export async function readPidFile(path: string): Promise<number> {
  const { text, uid } = await readStart(path);
  const [line = ''] = text.split('\n');
  const pid = /^\s*\d{1,9}\s*$/.test(line) ? Number(line) : 0;
  if (pid <= 1) throw new SpiffeError('FAILED_PRECONDITION', `the first line of "${path}" is no process id above 1`);
  if (uid === 0 || uid === process.geteuid?.()) return pid;
  const owner = await findUser(pid);
  if (owner === undefined || owner === uid) return pid; // one that has ended takes no signal
  const message = `"${path}" belongs to user ${uid} and names process ${pid}, which is of user ${owner}: it is left alone; let the file be written by root, or by the user of the process`;
  throw new SpiffeError('FAILED_PRECONDITION', message);
}

async function readStart(path: string): Promise<{ readonly text: string; readonly uid: number }> {
  const what = `the file "${path}" of the process id`;
  try {
    await using file = await openHeldPath(path, what, constants.O_RDONLY | constants.O_NONBLOCK);
    const { uid, mode } = await file.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) {
      throw new SpiffeError('FAILED_PRECONDITION', `${what} is no file`);
    }
    if ((mode & 0o002) !== 0) {
      throw new SpiffeError('FAILED_PRECONDITION', `every user may write to ${what}: run chmod o-w on it`);
    }
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
    return { text: buffer.toString('utf8', 0, bytesRead), uid };
  } catch (cause) {
    const reason = isMissing(cause) ? `${what} does not exist: the program may not run yet` : messageOf(cause);
    throw new SpiffeError('FAILED_PRECONDITION', reason, { cause });
  }
}

/** Whose a process is, and was started as; undefined where there is none. */
async function findUser(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => undefined);
  const [real] = statusField(status ?? '', 'Uid')?.split(/\s+/) ?? [];
  return real === undefined ? undefined : Number(real);
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
