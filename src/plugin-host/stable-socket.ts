import { rename, rm, symlink } from 'node:fs/promises';
import type { PluginEndpoint } from './plugin-generation.ts';
import { SocketFolder } from './socket-folder.ts';

/**
 * One path for a plugin's socket through all of its generations, for threads that connect by themselves:
 * a link that is moved to the socket of the generation that serves. What else a connection needs is new with each
 * generation: who holds on to the path subscribes to it.
 */
export class StableSocket implements AsyncDisposable {
  readonly path: string;
  readonly #folder: SocketFolder;
  readonly #listeners = new Set<(endpoint: PluginEndpoint) => void>();
  #links = 0;
  #autoMtls: Pick<PluginEndpoint, 'autoMtls'> = {};

  private constructor(folder: SocketFolder) {
    this.#folder = folder;
    this.path = folder.join('plugin');
  }

  static async create(): Promise<StableSocket> {
    return new StableSocket(await SocketFolder.create());
  }

  /** Where the generation of the moment can be called. */
  get endpoint(): PluginEndpoint {
    return { socketPath: this.path, ...this.#autoMtls };
  }

  /** Tells of every generation that serves from now on. @returns what ends that */
  subscribe(listener: (endpoint: PluginEndpoint) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Leads nowhere until the next generation serves: a descriptor's number, by which the path may lead, can become another's. */
  async pointNowhere(): Promise<void> {
    await rm(this.path, { force: true });
  }

  async pointTo({ socketPath, autoMtls }: PluginEndpoint): Promise<void> {
    const next = this.#folder.join(`next${this.#links++}`);
    await symlink(socketPath, next);
    await rename(next, this.path);
    this.#autoMtls = autoMtls === undefined ? {} : { autoMtls };
    for (const listener of this.#listeners) listener(this.endpoint);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear();
    await this.#folder[Symbol.asyncDispose]();
  }
}
