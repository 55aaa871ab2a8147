import { readFile } from 'node:fs/promises';

/**
 * Proportional set size of a process, in bytes: memory that it shares counts in part. Undefined where the kernel does not
 * tell, as of another user's process.
 *
 * @see proc_pid_smaps(5)
 */
export async function findMemoryBytes(pid: number): Promise<number | undefined> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  const [, kibibytes] = /^Pss:\s+(\d{1,12}) kB$/m.exec(rollup) ?? [];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}
