import { readFileSync, readlinkSync } from 'node:fs';
import { statFields } from '../../rpc/process-fields.ts';

/**
 * Names this process for good: its namespace of process IDs, its ID in it, and when it started, in clock ticks since the
 * boot; an ID alone comes back. What bears the name of a process that has ended can be cleared away.
 */
export function hostTag(): string {
  tag ??= [namespaceOf(), process.pid, startOf(process.pid)].map((part) => Number(part ?? 0).toString(36)).join('-');
  return tag;
}

/** Matches a tag within a longer name. */
export const TAG_PATTERN = '([0-9a-z]+-[0-9a-z]+-[0-9a-z]+)';

/** Whether the process of that name has ended; of another namespace's nothing can be said. */
export function isTagOfTheDead(text: string): boolean {
  const [namespace, pid, start] = text.split('-').map((part) => Number.parseInt(part, 36));
  if (namespace === undefined || pid === undefined || namespace !== namespaceOf()) return false;
  return startOf(pid) !== start;
}

let tag: string | undefined;

function namespaceOf(): number | undefined {
  try {
    const [, inode] = /^pid:\[(\d+)\]$/.exec(readlinkSync('/proc/self/ns/pid')) ?? [];
    return Number(inode ?? 0);
  } catch {
    return undefined;
  }
}

/** Source: proc_pid_stat(5). */
function startOf(pid: number): number | undefined {
  try {
    const [start] = statFields(readFileSync(`/proc/${pid}/stat`, 'utf8'), 22);
    return Number(start);
  } catch {
    return undefined;
  }
}
