import { ContainerCommands, SocketService } from './container-engine.ts';
import { writeContainerRoot } from './container-root.ts';
import { createTemporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

export interface DockerEngineOptions {
  /** Control groups of version 2 alone, as it sees them. */
  readonly cgroup2?: boolean;
  /** Lines of a Dockerfile for its image. */
  readonly changes?: readonly string[];
}

/** A real dockerd with its own containerd, without a network, and one image. */
export class DockerEngine implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly commands: ContainerCommands;
  imageId = '';
  #service: SocketService | undefined;
  readonly #options: DockerEngineOptions;

  private constructor(folder: TemporaryFolder, options: DockerEngineOptions) {
    this.folder = folder;
    this.#options = options;
    this.commands = new ContainerCommands(['docker', '--host', `unix://${this.socketPath}`]);
  }

  static async start(options: DockerEngineOptions = {}): Promise<DockerEngine> {
    const engine = new DockerEngine(await createTemporaryFolder(), options);
    try {
      await engine.startService();
      const root = await writeContainerRoot(engine.folder.path);
      engine.imageId = await engine.commands.importImage(root, ...(options.changes ?? []));
      return engine;
    } catch (error) {
      await engine[Symbol.asyncDispose]();
      throw error;
    }
  }

  get socketPath(): string {
    return this.folder.join('docker.sock');
  }

  async startService(): Promise<void> {
    const { folder } = this;
    const daemon = [
      ...['dockerd', '--iptables=false', '--bridge=none', '--data-root', folder.join('data')],
      ...['--exec-root', folder.join('exec'), '--pidfile', folder.join('pid'), '--host', `unix://${this.socketPath}`],
    ];
    const mount = ['unshare', '-m', '/bin/sh', '-c', 'mount -t cgroup2 none /sys/fs/cgroup && exec "$0" "$@"'];
    const command = this.#options.cgroup2 ? [...mount, ...daemon] : daemon;
    this.#service = await SocketService.start(command, this.socketPath, folder.join('log'));
  }

  /** Its containers end with it. */
  async stopService(): Promise<void> {
    await this.#service?.[Symbol.asyncDispose]();
    this.#service = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#service !== undefined) await this.commands.removeAll().catch(() => {});
    await this.stopService();
    await this.folder[Symbol.asyncDispose]();
  }
}
