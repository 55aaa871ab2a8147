import { constants } from 'node:fs';
import { open, readFile, readlink } from 'node:fs/promises';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import { unreadableProcess } from './unreadable-process.ts';

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

/**
 * Runs what reads of a process by its number. Its folder is held open meanwhile: that stays the folder of this process, and
 * cannot be read once the process has ended, though another has its number by then.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` where the process has ended by the end; `WORKLOAD_UNREADABLE` where there is none
 */
export async function withSameProcess<T>(pid: number, read: () => Promise<T>): Promise<T> {
  await using folder = await ofProcess(pid, '', (path) => open(path, constants.O_RDONLY | constants.O_DIRECTORY));
  const result = await read();
  try {
    await readFile(`/proc/self/fd/${folder.fd}/stat`);
    return result;
  } catch (cause) {
    const ended = `process ${pid} ended while it was looked at, and its number may be another process's now`;
    throw new SpiffeError('ATTESTATION_DENIED', ended, { cause });
  }
}

async function ofProcess<T>(pid: number, name: string, read: (path: string) => Promise<T>): Promise<T> {
  if (!Number.isInteger(pid) || pid <= 0) throw new SpiffeError('ARGUMENT_INVALID', `${pid} is no process ID`);
  const path = name === '' ? `/proc/${pid}` : `/proc/${pid}/${name}`;
  try {
    return await read(path);
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    throw unreadableProcess(pid, name, cause);
  }
}
