import { SpiffeError, statFields, statusField } from '../../plugin-sdk/index.ts';
import type { ProcessFolder } from '../process/process-folder.ts';

/** Whom a process acts for. */
export interface ProcessOwner {
  /** Effective, as with SPIRE. */
  readonly uid: number;
  readonly gid: number;
  readonly supplementaryGids: readonly number[];
}

/** Source: proc_pid_status(5): `Uid:` real, effective, saved, file system; `Gid:` alike; `Groups:`. */
export function readProcessOwner(process: ProcessFolder): ProcessOwner {
  const status = process.read('status');
  const numbers = (name: string) => (statusField(status, name) ?? '').split(/\s+/).filter(Boolean).map(Number);
  const [, uid] = numbers('Uid');
  const [, gid] = numbers('Gid');
  const supplementaryGids = numbers('Groups');
  if (uid === undefined || gid === undefined || ![uid, gid, ...supplementaryGids].every(Number.isSafeInteger)) {
    throw new SpiffeError('INTERNAL', `/proc/${process.pid}/status names no user and group`);
  }
  return { uid, gid, supplementaryGids };
}

/**
 * A word that another program has in the process's place, or another user: its owner, where code and stack lie, which an
 * exec puts elsewhere, and where its executable is. Source: proc_pid_stat(5), fields 26 to 28.
 */
export function readProgramMark(process: ProcessFolder): string {
  const image = statFields(process.read('stat'), 26, 27, 28);
  const { uid, gid } = readProcessOwner(process);
  return JSON.stringify([uid, gid, ...image, findLink(process)]);
}

/** Processes of the kernel have no executable, and those of others may not be looked at by everybody. */
function findLink(process: ProcessFolder): string | undefined {
  try {
    return process.readLink('exe');
  } catch {
    return undefined;
  }
}
