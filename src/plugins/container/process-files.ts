import { open, readlink } from 'node:fs/promises';
import { SpiffeError } from '../../plugin-sdk/index.ts';

/** A container with many volumes has some hundred mounts, each in a line of some hundred bytes. */
const MAX_BYTES = 4 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

/**
 * A file below /proc/PID, such as `cgroup`.
 *
 * @throws SpiffeError `WORKLOAD_UNREADABLE` that says why; `TOO_LARGE`
 */
export async function readProcessFile(pid: number, name: string): Promise<string> {
  return await ofProcess(pid, name, async (path) => {
    await using file = await open(path, 'r');
    const chunks: Buffer[] = [];
    for (let length = 0; ; ) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, null);
      if (bytesRead === 0) return Buffer.concat(chunks).toString('utf8');
      length += bytesRead;
      if (length > MAX_BYTES) throw new SpiffeError('TOO_LARGE', `${path} has more than ${MAX_BYTES} bytes`);
      chunks.push(chunk.subarray(0, bytesRead));
    }
  });
}

/** Of a namespace of the process, such as `mnt`: the same text for the same namespace. @throws as {@link readProcessFile} */
export async function readNamespace(pid: number, name: string): Promise<string> {
  return await ofProcess(pid, `ns/${name}`, (path) => readlink(path));
}

/** When the process began, in clock ticks since the machine did: a later process of the same number has another. */
export async function readStartTime(pid: number): Promise<string> {
  const stat = await readProcessFile(pid, 'stat');
  // proc_pid_stat(5): field 22; the second, a name in parentheses, may hold anything.
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[22 - 3];
  if (ticks !== undefined && /^\d+$/.test(ticks)) return ticks;
  throw new SpiffeError('WORKLOAD_UNREADABLE', `/proc/${pid}/stat has no start time`);
}

/**
 * Runs what reads of a process by its number.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` where the number was another process's by the end.
 */
export async function withSameProcess<T>(pid: number, read: () => Promise<T>): Promise<T> {
  const before = await readStartTime(pid);
  const result = await read();
  if ((await readStartTime(pid)) === before) return result;
  throw new SpiffeError('ATTESTATION_DENIED', `process ${pid} ended, and its number is another process's now`);
}

async function ofProcess<T>(pid: number, name: string, read: (path: string) => Promise<T>): Promise<T> {
  if (!Number.isInteger(pid) || pid <= 0) throw new SpiffeError('ARGUMENT_INVALID', `${pid} is no process ID`);
  const path = `/proc/${pid}/${name}`;
  try {
    return await read(path);
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new SpiffeError('WORKLOAD_UNREADABLE', `cannot read ${path}: ${explain(code)}`, { cause });
  }
}

function explain(code: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ESRCH':
      return 'the process is gone';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied, the agent has to run as root or with CAP_SYS_PTRACE';
    default:
      return code;
  }
}
