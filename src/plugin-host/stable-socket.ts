import { rename, symlink } from 'node:fs/promises';
import { SocketFolder } from './socket-folder.ts';

/**
 * One path for a plugin's socket through all of its generations, for threads that connect by themselves:
 * a link that is moved to the socket of the generation that serves.
 */
export class StableSocket implements AsyncDisposable {
  readonly path: string;
  readonly #folder: SocketFolder;
  #links = 0;

  private constructor(folder: SocketFolder) {
    this.#folder = folder;
    this.path = folder.join('plugin');
  }

  static async create(): Promise<StableSocket> {
    return new StableSocket(await SocketFolder.create());
  }

  async pointTo(socketPath: string): Promise<void> {
    const next = this.#folder.join(`next${this.#links++}`);
    await symlink(socketPath, next);
    await rename(next, this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }
}
