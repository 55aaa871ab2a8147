import { readFileSync, readlinkSync } from 'node:fs';
import { statusField } from '../rpc/process-fields.ts';

/** Whether a process counts processes and users as this program does; where it cannot be told, it does not. */
export function isOnThisNode(pid: number): boolean {
  try {
    return hasOurNamespaces(pid);
  } catch (error) {
    // A program without root may not look at root's processes so.
    return error instanceof Error && 'code' in error && error.code === 'EACCES' && countsAsWe(pid);
  }
}

/** @see namespaces(7) */
function hasOurNamespaces(pid: number): boolean {
  return ['pid', 'user'].every(
    (name) => readlinkSync(`/proc/${pid}/ns/${name}`) === readlinkSync(`/proc/self/ns/${name}`),
  );
}

/**
 * The same by what everybody may read: in a PID namespace below ours a process has a second number, and in a user namespace below ours
 * other users, unless root made it with all of them.
 *
 * @see proc_pid_status(5), user_namespaces(7)
 */
export function countsAsWe(pid: number): boolean {
  const read = (of: number | 'self', name: string) => readFileSync(`/proc/${of}/${name}`, 'latin1');
  const hasOneNumber = (of: number | 'self') => /^\d+$/.test(statusField(read(of, 'status'), 'NSpid') ?? '');
  try {
    const isAlike = (name: string) => read(pid, name) === read('self', name);
    return hasOneNumber(pid) && hasOneNumber('self') && isAlike('uid_map') && isAlike('gid_map');
  } catch {
    return false;
  }
}
