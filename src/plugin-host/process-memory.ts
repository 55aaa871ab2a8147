import { readdir, readFile } from 'node:fs/promises';

/** Processes and threads of one plugin that are looked at: it chooses how many there are. */
const MAX_PROCESSES = 256;
const MAX_THREADS = 64;
/** The kernel walks all that a process has mapped, and a process can make that take long. */
const MAX_MS = 500;

/**
 * Proportional set size of a plugin and what it started, in bytes: memory that it shares counts in part. Of a plugin with
 * very many processes, or very much memory, a part is counted. Undefined where the kernel does not tell.
 *
 * @see proc_pid_smaps(5)
 */
export async function findMemoryBytes(pid: number): Promise<number | undefined> {
  const pids = new Set([pid]); // grows while it is walked; a number that was given anew meanwhile may come back
  const deadline = performance.now() + MAX_MS;
  let sum: number | undefined;
  for (const next of pids) {
    if (performance.now() > deadline) break;
    const own = await findOwnBytes(next);
    if (own !== undefined) sum = (sum ?? 0) + own;
    if (pids.size >= MAX_PROCESSES) continue;
    for (const child of await childrenOf(next)) {
      if (pids.size < MAX_PROCESSES) pids.add(child);
    }
  }
  return sum;
}

async function findOwnBytes(pid: number): Promise<number | undefined> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  const [, kibibytes] = /^Pss:\s+(\d{1,12}) kB$/m.exec(rollup) ?? [];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

/** A child of any of its threads. @see proc_pid_task(5) */
async function childrenOf(pid: number): Promise<readonly number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = threads
    .slice(0, MAX_THREADS)
    .map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => ''));
  return (await Promise.all(lists)).flatMap((list) => list.split(' ').filter(Boolean).map(Number));
}
