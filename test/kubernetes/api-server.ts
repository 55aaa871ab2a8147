import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { connect } from 'node:net';
import type { TestAuthority } from '../../src/testing/test-authority.ts';
import { freePort } from '../harness/free-port.ts';
import type { TemporaryFolder } from '../harness/temporary-folder.ts';
import { kubernetesProgram } from './components.ts';
import { Daemon } from './daemon.ts';

/** The node's name is a host's name: the kubelet is reached by it, and the API server too. */
export const NODE = 'localhost';

/** etcd and an API server of a cluster, on loopback. */
export class ApiServer implements AsyncDisposable {
  readonly port: number;
  /** Signs tokens of service accounts. */
  readonly tokenKey: KeyObject;
  readonly #folder: TemporaryFolder;
  readonly #name: string;
  readonly #authority: TestAuthority;
  readonly #stack: AsyncDisposableStack;
  readonly #adminToken = randomBytes(16).toString('hex');

  private constructor(parts: {
    folder: TemporaryFolder;
    name: string;
    authority: TestAuthority;
    stack: AsyncDisposableStack;
    port: number;
    tokenKey: KeyObject;
  }) {
    this.#folder = parts.folder;
    this.#name = parts.name;
    this.#authority = parts.authority;
    this.#stack = parts.stack;
    this.port = parts.port;
    this.tokenKey = parts.tokenKey;
  }

  /** @param name of its files in the folder, for a second one */
  static async start(folder: TemporaryFolder, authority: TestAuthority, name = 'api'): Promise<ApiServer> {
    const stack = new AsyncDisposableStack();
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const api = new ApiServer({ folder, name, authority, stack, port: await freePort(), tokenKey: privateKey });
    try {
      await api.#start();
      return api;
    } catch (error) {
      await stack.disposeAsync();
      throw error;
    }
  }

  get caPath(): string {
    return this.#path('ca.pem');
  }

  /** What it shows, which is good for a kubelet too. */
  servingPath(part: 'pem' | 'key'): string {
    return this.#path(`serving.${part}`);
  }

  #path(name: string): string {
    return this.#folder.join(`${this.#name}-${name}`);
  }

  async #start(): Promise<void> {
    const serving = await this.#authority.issueLeaf({ commonName: 'kube', dnsNames: [NODE] });
    await writeFile(this.caPath, this.#authority.certificatePem);
    await writeFile(this.servingPath('pem'), serving.certificatePem);
    await writeFile(this.servingPath('key'), serving.privateKeyPem);
    const publicKey = createPublicKey(this.tokenKey);
    await writeFile(this.#path('sa.key'), this.tokenKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
    await writeFile(this.#path('sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    await writeFile(this.#path('tokens.csv'), `${this.#adminToken},admin,1,system:masters\n`, { mode: 0o600 });
    const etcdUrl = await this.#startEtcd();
    const args = {
      'etcd-servers': etcdUrl,
      'bind-address': '127.0.0.1',
      'secure-port': this.port,
      'endpoint-reconciler-type': 'none',
      'tls-cert-file': this.servingPath('pem'),
      'tls-private-key-file': this.servingPath('key'),
      'client-ca-file': this.caPath,
      'token-auth-file': this.#path('tokens.csv'),
      'service-account-key-file': this.#path('sa.pub'),
      'service-account-signing-key-file': this.#path('sa.key'),
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-cluster-ip-range': '10.0.0.0/24',
      'authorization-mode': 'RBAC',
      'allow-privileged': 'true',
      'disable-admission-plugins': 'ServiceAccount',
    };
    const words = Object.entries(args).map(([key, value]) => `--${key}=${value}`);
    const isReady = async () => (await this.ask('GET', '/readyz')) === 'ok';
    const command = kubernetesProgram('kube-apiserver');
    this.#stack.use(await Daemon.start(command, words, this.#path('server.log'), isReady));
  }

  async #startEtcd(): Promise<string> {
    const [port, peer] = [await freePort(), await freePort()];
    const url = `http://127.0.0.1:${port}`;
    const args = [
      ...[`--data-dir=${this.#path('etcd')}`, `--listen-client-urls=${url}`, `--advertise-client-urls=${url}`],
      ...[`--listen-peer-urls=http://127.0.0.1:${peer}`, '--unsafe-no-fsync'],
    ];
    this.#stack.use(await Daemon.start('etcd', args, this.#path('etcd.log'), () => isListening(port)));
    return url;
  }

  /** @param more in place of the administrator's token, or of the port */
  async writeKubeconfig(path: string, { token = this.#adminToken, port = this.port } = {}): Promise<string> {
    const server = `https://${NODE}:${port}`;
    const kubeconfig = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server, 'certificate-authority': this.caPath } }],
      users: [{ name: 'u', user: { token } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
    await writeFile(path, JSON.stringify(kubeconfig), { mode: 0o600 });
    return path;
  }

  /** Calls it as the administrator. @returns the JSON of the answer, or its text */
  async ask(method: string, path: string, body?: unknown, type = 'application/json'): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const headers = { authorization: `Bearer ${this.#adminToken}`, 'content-type': type };
    const ca = this.#authority.certificatePem;
    const call = request({ host: NODE, port: this.port, method, path, headers, ca, agent: false }, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk);
      const text = String(Buffer.concat(chunks));
      const isGood = (response.statusCode ?? 500) < 300;
      if (!isGood) reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
      else resolve(text.startsWith('{') ? JSON.parse(text) : text);
    });
    call.once('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
    return await promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

async function isListening(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
  return await promise.finally(() => socket.destroy());
}
