import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { freePort } from '../harness/free-port.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { kubernetesProgram } from './components.ts';
import { Daemon } from './daemon.ts';
import { writeImage } from './image.ts';

const run = promisify(execFile);
export const IMAGE = 'docker.io/assayer/busybox:1';
const PAUSE = 'docker.io/assayer/pause:1';
/** The node's name is a host's name: the kubelet is reached by it. */
export const NODE = 'localhost';
/** What a kubelet sets for the whole machine. */
const SYSCTLS = ['vm/overcommit_memory', 'kernel/panic', 'kernel/panic_on_oops'];

/** A cluster of one node on loopback: etcd, API server, containerd and kubelet, as they are. */
export class Cluster implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly authority: TestAuthority;
  readonly #stack: AsyncDisposableStack;
  readonly #adminToken: string;
  readonly #apiPort: number;
  #kubelet: Daemon | undefined;
  readonly kubeletPort: number;
  readonly readOnlyPort: number;

  private constructor(parts: {
    folder: TemporaryFolder;
    authority: TestAuthority;
    stack: AsyncDisposableStack;
    adminToken: string;
    ports: readonly number[];
  }) {
    this.folder = parts.folder;
    this.authority = parts.authority;
    this.#stack = parts.stack;
    this.#adminToken = parts.adminToken;
    [this.#apiPort = 0, this.kubeletPort = 0, this.readOnlyPort = 0] = parts.ports;
  }

  static async start(): Promise<Cluster> {
    const stack = new AsyncDisposableStack();
    try {
      const folder = stack.use(await createTemporaryFolder());
      const authority = stack.use(await TestAuthority.create('cluster.example'));
      const ports = [await freePort(), await freePort(), await freePort()];
      const adminToken = randomBytes(16).toString('hex');
      const cluster = new Cluster({ folder, authority, stack, adminToken, ports });
      await cluster.#startApiServer();
      await cluster.#startContainerd();
      await cluster.#startKubelet();
      return cluster;
    } catch (error) {
      await stack.disposeAsync();
      throw error;
    }
  }

  get caPath(): string {
    return this.folder.join('ca.pem');
  }

  async #startApiServer(): Promise<void> {
    const { folder, authority } = this;
    const [etcd, peer] = [await freePort(), await freePort()];
    const etcdUrl = `http://127.0.0.1:${etcd}`;
    this.#stack.use(
      await Daemon.start(
        'etcd',
        [
          ...[
            `--data-dir=${folder.join('etcd')}`,
            `--listen-client-urls=${etcdUrl}`,
            `--advertise-client-urls=${etcdUrl}`,
          ],
          ...[`--listen-peer-urls=http://127.0.0.1:${peer}`, '--unsafe-no-fsync'],
        ],
        folder.join('etcd.log'),
        () => isListening(etcd),
      ),
    );
    const serving = await authority.issueLeaf({ commonName: 'kube', dnsNames: [NODE] });
    await writeFile(this.caPath, authority.certificatePem);
    await writeFile(folder.join('serving.pem'), serving.certificatePem);
    await writeFile(folder.join('serving.key'), serving.privateKeyPem);
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await writeFile(folder.join('sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
    await writeFile(folder.join('sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    await writeFile(folder.join('tokens.csv'), `${this.#adminToken},admin,1,system:masters\n`, { mode: 0o600 });
    const args = {
      'etcd-servers': etcdUrl,
      'bind-address': '127.0.0.1',
      'secure-port': this.#apiPort,
      'endpoint-reconciler-type': 'none',
      'tls-cert-file': folder.join('serving.pem'),
      'tls-private-key-file': folder.join('serving.key'),
      'client-ca-file': this.caPath,
      'token-auth-file': folder.join('tokens.csv'),
      'service-account-key-file': folder.join('sa.pub'),
      'service-account-signing-key-file': folder.join('sa.key'),
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-cluster-ip-range': '10.0.0.0/24',
      'authorization-mode': 'RBAC',
      'disable-admission-plugins': 'ServiceAccount',
    };
    const words = Object.entries(args).map(([key, value]) => `--${key}=${value}`);
    const isReady = async () => (await this.ask('GET', '/readyz')) === 'ok';
    const command = kubernetesProgram('kube-apiserver');
    this.#stack.use(await Daemon.start(command, words, folder.join('apiserver.log'), isReady));
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
    const server = `https://${NODE}:${this.#apiPort}`;
    const kubeconfig = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server, 'certificate-authority': this.caPath } }],
      users: [{ name: 'u', user: { token: this.#adminToken } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
    const config = {
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      address: '127.0.0.1',
      port: kubeletPort,
      readOnlyPort,
      healthzPort: 0,
      tlsCertFile: folder.join('serving.pem'),
      tlsPrivateKeyFile: folder.join('serving.key'),
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
    await writeFile(folder.join('kubeconfig'), JSON.stringify(kubeconfig), { mode: 0o600 });
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
  async ask(method: string, path: string, body?: unknown, type = 'application/json'): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const headers = { authorization: `Bearer ${this.#adminToken}`, 'content-type': type };
    const ca = this.authority.certificatePem;
    const call = request(
      { host: NODE, port: this.#apiPort, method, path, headers, ca, agent: false },
      async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        const text = String(Buffer.concat(chunks));
        const isGood = (response.statusCode ?? 500) < 300;
        if (!isGood) reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
        else resolve(text.startsWith('{') ? JSON.parse(text) : text);
      },
    );
    call.once('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
    return await promise;
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

async function isListening(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
  return await promise.finally(() => socket.destroy());
}
