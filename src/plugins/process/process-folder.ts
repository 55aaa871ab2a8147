import { closeSync, constants, openSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import { unreadableProcess } from './unreadable-process.ts';

/** Two paths that are not UTF-8 would look the same with replacement characters in them. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** A container with many volumes has some hundred mounts, each in a line of some hundred bytes. */
const MAX_BYTES = 4 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

/**
 * The folder /proc/PID of one process, held open: whatever is read through it is that process's, or fails once it has
 * ended, though another has its number by then.
 */
export class ProcessFolder implements Disposable {
  readonly pid: number;
  readonly #fd: number;
  #closed = false;

  private constructor(pid: number, fd: number) {
    this.pid = pid;
    this.#fd = fd;
  }

  /** @throws SpiffeError `ARGUMENT_INVALID` for what is no process ID; `WORKLOAD_UNREADABLE` where there is no process */
  static open(pid: number): ProcessFolder {
    if (!Number.isInteger(pid) || pid <= 0) throw new SpiffeError('ARGUMENT_INVALID', `${pid} is no process ID`);
    try {
      return new ProcessFolder(pid, openSync(`/proc/${pid}`, constants.O_RDONLY | constants.O_DIRECTORY));
    } catch (cause) {
      throw unreadableProcess(pid, '', cause);
    }
  }

  /** The text of a small file, such as `status`, byte by byte. @throws SpiffeError `WORKLOAD_UNREADABLE` */
  read(name: string): string {
    let fd: number | undefined;
    try {
      fd = openSync(this.#path(name), 'r');
      return readToEnd(fd);
    } catch (cause) {
      throw unreadableProcess(this.pid, name, cause);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  /** The text of a file that the process may make long, such as `mountinfo`. @throws SpiffeError `WORKLOAD_UNREADABLE`, `TOO_LARGE` */
  async readText(name: string): Promise<string> {
    await using file = await this.open(name);
    const chunks: Buffer[] = [];
    for (let length = 0; ; ) {
      const chunk = await this.#readChunk(file, name);
      if (chunk.length === 0) return Buffer.concat(chunks).toString('utf8');
      length += chunk.length;
      if (length > MAX_BYTES) {
        throw new SpiffeError('TOO_LARGE', `/proc/${this.pid}/${name} has more than ${MAX_BYTES} bytes`);
      }
      chunks.push(chunk);
    }
  }

  /**
   * What a link says, such as `exe`, or `ns/mnt`: the same text for the same namespace.
   *
   * @throws SpiffeError `WORKLOAD_UNREADABLE`, where it is not UTF-8, too
   */
  readLink(name: string): string {
    try {
      return utf8.decode(readlinkSync(this.#path(name), 'buffer'));
    } catch (cause) {
      throw unreadableProcess(this.pid, name, cause);
    }
  }

  /** The file that a link such as `exe` leads to, for reading. @throws SpiffeError `WORKLOAD_UNREADABLE` */
  async open(name: string): Promise<FileHandle> {
    try {
      return await open(this.#path(name), 'r');
    } catch (cause) {
      throw unreadableProcess(this.pid, name, cause);
    }
  }

  /** For what was found of it elsewhere, by its number. @throws SpiffeError `ATTESTATION_DENIED` where it has ended */
  requireAlive(): void {
    try {
      readFileSync(this.#path('stat'));
    } catch (cause) {
      const ended = `process ${this.pid} ended while it was looked at, and its number may be another process's now`;
      throw new SpiffeError('ATTESTATION_DENIED', ended, { cause });
    }
  }

  [Symbol.dispose](): void {
    if (!this.#closed) closeSync(this.#fd);
    this.#closed = true;
  }

  async #readChunk(file: FileHandle, name: string): Promise<Buffer> {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    try {
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, null);
      return chunk.subarray(0, bytesRead);
    } catch (cause) {
      throw unreadableProcess(this.pid, name, cause);
    }
  }

  /** Node has no openat(2); a name below a link of /proc/self/fd comes to the same. */
  #path(name: string): string {
    return `/proc/self/fd/${this.#fd}/${name}`;
  }
}

/** Most such files have less. */
const small = Buffer.allocUnsafeSlow(8 * 1024);

/** Every workload that calls has this done: a third of what `readFileSync` takes for a file whose size nobody knows. */
function readToEnd(fd: number): string {
  let text = '';
  for (;;) {
    const bytesRead = readSync(fd, small, 0, small.length, null);
    if (bytesRead === 0) return text;
    text += small.toString('latin1', 0, bytesRead);
  }
}
