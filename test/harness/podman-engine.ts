import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { ContainerCommands, SocketService } from './container-engine.ts';
import { writeContainerRoot } from './container-root.ts';
import { createTemporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

const run = promisify(execFile);

/** A real Podman with a store of its own, one image, and services of its API. */
export class PodmanEngine implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly commands: ContainerCommands;
  imageId = '';
  readonly #podman: readonly string[];
  readonly #services = new AsyncDisposableStack();

  private constructor(folder: TemporaryFolder) {
    this.folder = folder;
    this.#podman = [
      ...['podman', '--root', folder.join('store'), '--runroot', folder.join('run'), '--tmpdir', folder.join('tmp')],
      ...['--cgroup-manager', 'cgroupfs', '--runtime', 'runc', '--events-backend', 'none'],
    ];
    const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024']; // more than these need CAP_SYS_RESOURCE
    this.commands = new ContainerCommands(this.#podman, { run: limits, remove: ['-t', '0'] });
  }

  static async start(changes: readonly string[] = []): Promise<PodmanEngine> {
    const engine = new PodmanEngine(await createTemporaryFolder());
    try {
      const root = await writeContainerRoot(engine.folder.path);
      engine.imageId = await engine.commands.importImage(root, ...changes);
      return engine;
    } catch (error) {
      await engine[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** @returns the path of a socket below its folder on which it answers from now on. */
  async serve(name: string): Promise<string> {
    const path = this.folder.join(name);
    await mkdir(dirname(path), { recursive: true });
    const service = [...this.#podman, 'system', 'service', '--time', '0', `unix://${path}`];
    this.#services.use(await SocketService.start(service, path, this.folder.join('log')));
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.commands.removeAll().catch(() => {});
    await this.#services.disposeAsync();
    await run('umount', [this.folder.join('store/overlay')]).catch(() => {}); // Podman leaves it mounted
    await this.folder[Symbol.asyncDispose]();
  }
}
