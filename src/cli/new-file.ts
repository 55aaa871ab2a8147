import { type FileHandle, link, lstat, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder, temporaryPath } from '../files/temporary-file.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';

/** A file that is there whole, or not at all, and never takes the place of another. Disposing forgets what was not kept. */
export class NewFile implements AsyncDisposable {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  /** @throws SpiffeError `FILE_UNUSABLE`, also where there is such a file */
  static async create(path: string): Promise<NewFile> {
    if (await exists(path)) throw new SpiffeError('FILE_UNUSABLE', `"${path}" exists: name a file that does not`);
    const temporary = temporaryPath(dirname(path));
    try {
      return new NewFile(path, temporary, await open(temporary, 'wx', 0o600));
    } catch (cause) {
      throw unusable(path, cause);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#file.writeFile(bytes).catch((cause: unknown) => {
      throw unusable(this.#path, cause);
    });
  }

  /** Gives it its name, once it is on the disk. */
  async keep(): Promise<void> {
    try {
      await this.#file.sync();
      await link(this.#temporary, this.#path); // unlike a rename, it fails where somebody was faster
      await syncFolder(dirname(this.#path));
    } catch (cause) {
      throw unusable(this.#path, cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
    await rm(this.#temporary, { force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

function unusable(path: string, cause: unknown): SpiffeError {
  const reason = messageOf(cause);
  return new SpiffeError('FILE_UNUSABLE', `"${path}" cannot be written: ${reason}`, { cause });
}
