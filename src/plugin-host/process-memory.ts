import { readdir, readFile } from 'node:fs/promises';

/**
 * Proportional set size of a plugin, in bytes: memory that it shares counts in part. With its children: the process that the
 * host started may be the launcher above a process namespace. Undefined where the kernel does not tell.
 *
 * @see proc_pid_smaps(5)
 */
export async function findMemoryBytes(pid: number): Promise<number | undefined> {
  const own = await findOwnBytes(pid);
  const children = await Promise.all((await childrenOf(pid)).map(findMemoryBytes));
  const known = [own, ...children].filter((bytes) => bytes !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, bytes) => sum + bytes, 0);
}

async function findOwnBytes(pid: number): Promise<number | undefined> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  const [, kibibytes] = /^Pss:\s+(\d{1,12}) kB$/m.exec(rollup) ?? [];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

/** A child of any of its threads. @see proc_pid_task(5) */
async function childrenOf(pid: number): Promise<readonly number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => ''));
  return (await Promise.all(lists)).flatMap((list) => list.split(' ').filter(Boolean).map(Number));
}
