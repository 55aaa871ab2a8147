import { type FileHandle, open } from 'node:fs/promises';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import type { LogChunk, LogRequest } from './log-codec.ts';

/**
 * A log that the kernel goes on writing, read part by part as the server asks for it: never more than one part is held.
 * Opened when first asked for.
 */
export class MeasuredLog implements AsyncDisposable {
  readonly #path: string;
  readonly #key: string;
  #file: Promise<FileHandle | undefined> | undefined;

  /** @param key names the setting of the path in errors. */
  constructor(path: string, key: string) {
    this.#path = path;
    this.#key = key;
  }

  /** @throws SpiffeError `FILE_UNUSABLE` for a log that is there and cannot be read */
  async read({ log, offset, length }: LogRequest): Promise<LogChunk> {
    this.#file ??= this.#open();
    const file = await this.#file;
    if (file === undefined) return { log, offset, state: 'absent', bytes: new Uint8Array(0) };
    const bytes = Buffer.alloc(length);
    let filled = 0;
    try {
      while (filled < length) {
        const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) return { log, offset, state: 'end', bytes: bytes.subarray(0, filled) };
        filled += bytesRead;
      }
    } catch (cause) {
      throw this.#unusable(cause);
    }
    return { log, offset, state: 'more', bytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = await this.#file?.catch(() => undefined);
    await file?.close();
  }

  async #open(): Promise<FileHandle | undefined> {
    try {
      return await open(this.#path, 'r');
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
      throw this.#unusable(cause);
    }
  }

  #unusable(cause: unknown): SpiffeError {
    return new SpiffeError(
      'FILE_UNUSABLE',
      `cannot read the log that the server wants and "${this.#key}" names: ${messageOf(cause)}`,
      { cause },
    );
  }
}
