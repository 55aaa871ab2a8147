import { closeSync, constants, openSync, readFileSync, readlinkSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import { unreadableProcess } from '../container/unreadable-process.ts';

/** Two paths that are not UTF-8 would look the same with replacement characters in them. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

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
    if (!Number.isInteger(pid) || pid <= 0) throw new SpiffeError('ARGUMENT_INVALID', `${pid} is no process id`);
    try {
      return new ProcessFolder(pid, openSync(`/proc/${pid}`, constants.O_RDONLY | constants.O_DIRECTORY));
    } catch (cause) {
      throw unreadableProcess(pid, '', cause);
    }
  }

  /** The text of a file, such as `status`, byte by byte. @throws SpiffeError `WORKLOAD_UNREADABLE` */
  read(name: string): string {
    try {
      return readFileSync(this.#path(name), 'latin1');
    } catch (cause) {
      throw unreadableProcess(this.pid, name, cause);
    }
  }

  /** What a link says, such as `exe`. @throws SpiffeError `WORKLOAD_UNREADABLE`, where it is not UTF-8, too */
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

  [Symbol.dispose](): void {
    if (!this.#closed) closeSync(this.#fd);
    this.#closed = true;
  }

  /** Node has no openat(2); a name below a link of /proc/self/fd comes to the same. */
  #path(name: string): string {
    return `/proc/self/fd/${this.#fd}/${name}`;
  }
}
