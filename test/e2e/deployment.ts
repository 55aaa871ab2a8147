import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import type { Swtpm } from '../../src/testing/swtpm.ts';
import { startSwtpm } from '../../src/testing/swtpm.ts';
import { freePort } from '../harness/free-port.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { type Finished, Program, runAssayer } from './program.ts';

const CALL_MS = 10_000;

export interface DeploymentOptions {
  /** Lines for the section `server`. */
  readonly serverSettings?: string;
  /** The server's key manager, as in its configuration; on disk by default. */
  readonly serverKeyManager?: string;
  /** Lines for the server's attestor `tpm`. */
  readonly serverTpmSettings?: string;
  /** More blocks for the server's section `plugins`. */
  readonly serverPlugins?: string;
  /** Of both; `debug` by default. */
  readonly logLevel?: 'debug' | 'info';
  /** Where both keep their data; a folder of the deployment's own by default. */
  readonly dataRoot?: string;
  /** The agent's key manager, as in its configuration; on disk by default. */
  readonly agentKeyManager?: string;
  /** More blocks for the agent's section `plugins`. */
  readonly agentPlugins?: string;
  /** Where the server listens, and a command that runs either of the two where that is. */
  readonly network?: { readonly serverAddress: string; within(name: 'server' | 'agent'): readonly string[] };
}

/** A TPM, and a server and an agent as processes, which can be started as often as wanted. Disposing stops them all. */
export class Deployment implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly tpm: Swtpm;
  readonly serverPort: number;
  /** All that ran, with what they printed. */
  readonly programs: Program[] = [];
  readonly #resources: AsyncDisposableStack;
  readonly #dataRoot: string;
  readonly #logLevel: string;
  readonly #network: NonNullable<DeploymentOptions['network']>;

  private constructor(
    parts: Pick<Deployment, 'folder' | 'tpm' | 'serverPort'>,
    { dataRoot, logLevel = 'debug', network = { serverAddress: '127.0.0.1', within: () => [] } }: DeploymentOptions,
    resources: AsyncDisposableStack,
  ) {
    this.folder = parts.folder;
    this.tpm = parts.tpm;
    this.serverPort = parts.serverPort;
    this.#dataRoot = dataRoot ?? parts.folder.path;
    this.#logLevel = logLevel;
    this.#network = network;
    this.#resources = resources;
  }

  static async create(options: DeploymentOptions = {}): Promise<Deployment> {
    await using resources = new AsyncDisposableStack();
    const folder = resources.use(await createTemporaryFolder());
    await chmod(folder.path, 0o711); // workloads of other users come through here
    const tpm = resources.use(await startSwtpm({ ek: ['rsa-2048'] }));
    const deployment = new Deployment({ folder, tpm, serverPort: await freePort() }, options, resources.move());
    for (const name of ['server', 'agent']) await mkdir(folder.join(`${name}-tmp`), { mode: 0o700 });
    await writeFile(folder.join('server.conf'), deployment.#serverConf(options));
    await writeFile(folder.join('agent.conf'), deployment.#agentConf(options));
    return deployment;
  }

  get adminSocket(): string {
    return this.folder.join('admin.sock');
  }

  get workloadSocket(): string {
    return this.folder.join('public/api.sock');
  }

  dataFolder(name: 'server' | 'agent'): string {
    return join(this.#dataRoot, name);
  }

  temporaryFolder(name: 'server' | 'agent'): string {
    return this.folder.join(`${name}-tmp`);
  }

  /** Starts it, and does not wait. */
  async launch(name: 'server' | 'agent'): Promise<Program> {
    const program = await Program.start(
      [name, 'run', '-config', this.folder.join(`${name}.conf`)],
      this.temporaryFolder(name),
      this.#network.within(name),
    );
    this.programs.push(this.#resources.use(program));
    return program;
  }

  /** A server that answers; the agent's trust bundle is its. */
  async startServer(): Promise<Program> {
    const server = await this.launch('server');
    await server.waitFor('server is ready');
    const { stdout } = await this.admin('bundle', 'show');
    await writeFile(this.folder.join('bundle.pem'), stdout);
    return server;
  }

  async startAgent(): Promise<Program> {
    const agent = await this.launch('agent');
    await agent.waitFor('agent is ready');
    return agent;
  }

  /** `assayer server …` on the admin socket. @throws unless it succeeds */
  async admin(...args: readonly string[]): Promise<Finished> {
    const finished = await runAssayer('server', ...args, '-socketPath', this.adminSocket);
    if (finished.code !== 0) throw new Error(`assayer server ${args.join(' ')}: ${finished.stderr}`);
    return finished;
  }

  /** Adds an entry by the API, which takes less time than the command line. @throws RemoteError, or for a refused entry */
  async createEntry(path: string, selector = { type: 'unix', value: 'uid:4294967' }): Promise<void> {
    using channel = RpcChannel.unix(this.adminSocket);
    const entry = Entry.fromPartial({
      spiffeId: { trustDomain: 'example.org', path },
      parentId: { trustDomain: 'example.org', path: '/node' },
      selectors: [selector],
    });
    const { results } = await createClient(EntryDefinition, channel).batchCreateEntry(
      { entries: [entry], outputMask: undefined },
      { deadlineMs: CALL_MS },
    );
    const [status] = results.map((result) => result.status);
    if (status?.code !== 0) throw new Error(status?.message);
  }

  /** The paths of all entries. */
  async entryPaths(): Promise<ReadonlySet<string>> {
    using channel = RpcChannel.unix(this.adminSocket);
    const request = { filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' };
    const { entries } = await createClient(EntryDefinition, channel).listEntries(request, { deadlineMs: CALL_MS });
    return new Set(entries.map(({ spiffeId }) => spiffeId?.path ?? ''));
  }

  /** An entry for processes of the user who runs the tests, on every node with a TPM of software. */
  async entitle(path = '/workload'): Promise<void> {
    const node = ['-node', '-spiffeID', 'spiffe://example.org/node', '-selector', 'tpm:ek:virtual'];
    await this.admin('entry', 'create', ...node);
    const parent = ['-parentID', 'spiffe://example.org/node', '-spiffeID', `spiffe://example.org${path}`];
    await this.admin('entry', 'create', ...parent, '-selector', `unix:uid:${process.getuid?.()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  #serverConf(options: DeploymentOptions): string {
    const data = this.dataFolder('server');
    const {
      serverSettings = '',
      serverKeyManager = `KeyManager "disk" { plugin_data { keys_path = "${data}/keys.json" } }`,
      serverTpmSettings = '',
      serverPlugins = '',
    } = options;
    return `server {
  trust_domain = "example.org"
  data_dir = "${data}"
  bind_address = "${this.#network.serverAddress}"
  bind_port = ${this.serverPort}
  socket_path = "${this.adminSocket}"
  log_format = "json"
  log_level = "${this.#logLevel}"
  ratelimit { attestation = false signing = false } # a load comes from one address
  ${serverSettings}
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${data}/datastore.sqlite3" } }
  ${serverKeyManager}
  NodeAttestor "join_token" {}
  NodeAttestor "tpm" {
    plugin_data {
      virtual_ca_path = "${this.tpm.caPath}"
      ${serverTpmSettings}
    }
  }
  ${serverPlugins}
}
`;
  }

  #agentConf(options: DeploymentOptions): string {
    const data = this.dataFolder('agent');
    const { agentKeyManager = `KeyManager "disk" { plugin_data { directory = "${data}" } }`, agentPlugins = '' } =
      options;
    return `agent {
  trust_domain = "example.org"
  data_dir = "${data}"
  server_address = "${this.#network.serverAddress}"
  server_port = ${this.serverPort}
  socket_path = "${this.workloadSocket}"
  trust_bundle_path = "${this.folder.join('bundle.pem')}"
  log_format = "json"
  log_level = "${this.#logLevel}"
  experimental { sync_interval = "1s" }
}
plugins {
  ${agentKeyManager}
  NodeAttestor "tpm" { plugin_data { tcti = "${this.tpm.tcti}" } }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }
  ${agentPlugins}
}
`;
  }
}

/** The path of a file in one of the data folders. */
export const inData = (deployment: Deployment, name: 'server' | 'agent', file: string): string =>
  join(deployment.dataFolder(name), file);
