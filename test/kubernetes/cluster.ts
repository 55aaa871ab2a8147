import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { freePort } from '../harness/free-port.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { ApiServer, NODE } from './api-server.ts';
import { kubernetesProgram } from './components.ts';
import { Daemon } from './daemon.ts';
import { writeImage } from './image.ts';

const run = promisify(execFile);
export const IMAGE = 'docker.io/assayer/busybox:1';
const PAUSE = 'docker.io/assayer/pause:1';

export { NODE } from './api-server.ts';

/** What a kubelet sets for the whole machine. */
const SYSCTLS = ['vm/overcommit_memory', 'kernel/panic', 'kernel/panic_on_oops'];

/** A cluster of one node on loopback: etcd, API server, containerd and kubelet, as they are. */
export class Cluster implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly authority: TestAuthority;
  readonly #stack: AsyncDisposableStack;
  readonly api: ApiServer;
  #kubelet: Daemon | undefined;
  readonly kubeletPort: number;
  readonly readOnlyPort: number;

  private constructor(parts: {
    folder: TemporaryFolder;
    authority: TestAuthority;
    stack: AsyncDisposableStack;
    api: ApiServer;
    ports: readonly number[];
  }) {
    this.folder = parts.folder;
    this.authority = parts.authority;
    this.#stack = parts.stack;
    this.api = parts.api;
    [this.kubeletPort = 0, this.readOnlyPort = 0] = parts.ports;
  }

  static async start(): Promise<Cluster> {
    const stack = new AsyncDisposableStack();
    try {
      const folder = stack.use(await createTemporaryFolder());
      const authority = stack.use(await TestAuthority.create('cluster.example'));
      const ports = [await freePort(), await freePort()];
      const api = stack.use(await ApiServer.start(folder, authority));
      const cluster = new Cluster({ folder, authority, stack, api, ports });
      await cluster.#startContainerd();
      await cluster.#startKubelet();
      return cluster;
    } catch (error) {
      await stack.disposeAsync();
      throw error;
    }
  }

  get caPath(): string {
    return this.api.caPath;
  }

  async #startContainerd(): Promise<void> {
    const { folder } = this;
    for (const path of await cgroupsOfPods()) {
      this.#stack.defer(async () => {
        await run('find', [path, '-depth', '-type', 'd', '-delete']).catch(() => {});
      });
    }
    await mkdir(folder.join('image'));
    const archive = await writeImage(folder.join('image'), [IMAGE, PAUSE]);
    await writeFile(
      folder.join('containerd.toml'),
      `version = 2
root = "${folder.join('containerd')}"
state = "${folder.join('containerd-run')}"
[grpc]
  address = "${this.#containerd}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder.join('containerd-opt')}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_tcp_service = true
`,
    );
    this.#stack.use(
      await Daemon.start(
        'containerd',
        ['--config', folder.join('containerd.toml')],
        folder.join('containerd.log'),
        async () => {
          await this.#ctr('version');
          return true;
        },
      ),
    );
    await this.#ctr('images', 'import', archive);
    this.#stack.defer(() => this.#removePods());
  }

  get #containerd(): string {
    return this.folder.join('containerd.sock');
  }

  async #ctr(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('ctr', ['--address', this.#containerd, '--namespace', 'k8s.io', ...args]);
    return stdout;
  }

  /** What a kubelet that ends leaves to its successor. */
  async #removePods(): Promise<void> {
    for (const id of (await this.#ctr('tasks', 'list', '--quiet')).split('\n').filter(Boolean)) {
      await this.#ctr('tasks', 'delete', '--force', id).catch(() => {});
    }
    for (const id of (await this.#ctr('containers', 'list', '--quiet')).split('\n').filter(Boolean)) {
      await this.#ctr('containers', 'delete', id).catch(() => {});
    }
    const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
    for (const path of mounts.filter((mount) => mount.startsWith(`${this.folder.path}/`)).toReversed()) {
      await run('umount', [path]).catch(() => {});
    }
  }

  async #startKubelet(): Promise<void> {
    const { folder, kubeletPort, readOnlyPort } = this;
    for (const name of SYSCTLS) {
      const path = `/proc/sys/${name}`;
      const value = await readFile(path, 'utf8');
      this.#stack.defer(() => writeFile(path, value));
    }
    this.#stack.defer(() => removeLinksTo(folder.join('pod-logs'), '/var/log/containers'));
    const config = {
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      address: '127.0.0.1',
      port: kubeletPort,
      readOnlyPort,
      healthzPort: 0,
      tlsCertFile: this.api.servingPath('pem'),
      tlsPrivateKeyFile: this.api.servingPath('key'),
      authentication: {
        anonymous: { enabled: true },
        webhook: { enabled: true, cacheTTL: '1s' },
        x509: { clientCAFile: this.caPath },
      },
      authorization: { mode: 'Webhook', webhook: { cacheAuthorizedTTL: '1s', cacheUnauthorizedTTL: '1s' } },
      containerRuntimeEndpoint: `unix://${this.#containerd}`,
      cgroupDriver: 'cgroupfs',
      failSwapOn: false,
      failCgroupV1: false,
      localStorageCapacityIsolation: false,
      oomScoreAdj: 0,
      enforceNodeAllocatable: [],
      makeIPTablesUtilChains: false,
      podLogsDir: folder.join('pod-logs'),
      evictionHard: { 'memory.available': '1Mi' },
    };
    await this.api.writeKubeconfig(folder.join('kubeconfig'));
    await writeFile(folder.join('kubelet.yaml'), JSON.stringify(config));
    const words = [
      ...[`--config=${folder.join('kubelet.yaml')}`, `--kubeconfig=${folder.join('kubeconfig')}`],
      ...[
        `--root-dir=${folder.join('kubelet')}`,
        `--cert-dir=${folder.join('kubelet-pki')}`,
        `--hostname-override=${NODE}`,
      ],
    ];
    const isReady = async () => JSON.stringify(await this.ask('GET', `/api/v1/nodes/${NODE}`)).includes('"uid"');
    const command = kubernetesProgram('kubelet');
    this.#kubelet = this.#stack.use(await Daemon.start(command, words, folder.join('kubelet.log'), isReady));
  }

  /** The first process of a container. */
  async pidOf(containerId: string): Promise<number> {
    const line = (await this.#ctr('tasks', 'list')).split('\n').find((each) => each.startsWith(containerId));
    return Number(line?.split(/\s+/)[1]);
  }

  /** What the kubelet said last. */
  get lastLines(): string {
    return this.#kubelet?.lastLines() ?? '';
  }

  /** Calls the API server as the administrator. @returns the JSON of the answer, or its text */
  async ask(method: string, path: string, body?: unknown, type?: string): Promise<unknown> {
    return await this.api.ask(method, path, body, type);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Those that a kubelet makes, where there are none yet: whoever has made them removes them. */
async function cgroupsOfPods(): Promise<readonly string[]> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  const paths = mounts.flatMap(([, path, type = '']) => (/^cgroup2?$/.test(type) ? [`${path}/kubepods`] : []));
  const there = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)));
  return paths.filter((_path, index) => there[index] === undefined);
}

/** The kubelet leaves a link to the log of each container. */
async function removeLinksTo(logs: string, folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const target = await readlink(`${folder}/${name}`).catch(() => undefined);
    if (target?.startsWith(`${logs}/`)) await rm(`${folder}/${name}`, { force: true });
  }
}
