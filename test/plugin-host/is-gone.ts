import { readFileSync } from 'node:fs';

/** Whether no process of that ID runs; one that has ended and waits for its parent is gone too. */
export function isGone(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return /^Z/.test(stat.slice(stat.lastIndexOf(')') + 2)); // field 3 of proc_pid_stat(5)
  } catch {
    return true;
  }
}
