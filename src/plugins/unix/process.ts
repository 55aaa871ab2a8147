import { createHash } from 'node:crypto';
import { open, readFile, readlink } from 'node:fs/promises';
import { SpiffeError } from '../../plugin-sdk/index.ts';

/** Whom a process acts for. */
export interface ProcessOwner {
  /** Effective, as with SPIRE. */
  readonly uid: number;
  readonly gid: number;
  readonly supplementaryGids: readonly number[];
}

/** Source: proc_pid_status(5): `Uid:` real, effective, saved, file system; `Gid:` alike; `Groups:`. */
export async function readProcessOwner(pid: number): Promise<ProcessOwner> {
  const status = await ofProcess(pid, 'status', (path) => readFile(path, 'utf8'));
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1];
  const numbers = (name: string) => (field(name) ?? '').split(/\s+/).filter(Boolean).map(Number);
  const [, uid] = numbers('Uid');
  const [, gid] = numbers('Gid');
  const supplementaryGids = numbers('Groups');
  if (uid === undefined || gid === undefined || ![uid, gid, ...supplementaryGids].every(Number.isSafeInteger)) {
    throw new SpiffeError('INTERNAL', `/proc/${pid}/status names no user and group`);
  }
  return { uid, gid, supplementaryGids };
}

/** The path of the executable as its own mount namespace names it. */
export function readExecutablePath(pid: number): Promise<string> {
  return ofProcess(pid, 'exe', (path) => readlink(path));
}

const CHUNK_BYTES = 1024 * 1024;

/**
 * SHA-256, in hex, of the file that is mapped: what the path names may be another one by now.
 *
 * @param sizeLimit bytes; 0 for none.
 * @throws SpiffeError `TOO_LARGE`
 */
export async function hashExecutable(pid: number, sizeLimit: number): Promise<string> {
  await using file = await ofProcess(pid, 'exe', (path) => open(path, 'r'));
  const { size } = await file.stat();
  if (sizeLimit > 0 && size > sizeLimit) {
    throw new SpiffeError('TOO_LARGE', `the executable has ${size} bytes, and workload_size_limit is ${sizeLimit}`);
  }
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let position = 0; ; ) {
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(chunk.subarray(0, bytesRead));
    position += bytesRead;
  }
}

async function ofProcess<T>(pid: number, name: string, read: (path: string) => Promise<T>): Promise<T> {
  if (!Number.isInteger(pid) || pid <= 0) throw new SpiffeError('ARGUMENT_INVALID', `${pid} is no process id`);
  try {
    return await read(`/proc/${pid}/${name}`);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new SpiffeError('WORKLOAD_UNREADABLE', `cannot read /proc/${pid}/${name}: ${explain(code)}`, { cause });
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
