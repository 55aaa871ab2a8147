import { join } from 'node:path';
import { writeFileAtomically } from '../../src/files/write-file-atomically.ts';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { type DeepPartial, Entry } from '../../src/gen/spire/api/types/types.ts';
import { formatBundlePem } from '../../src/spiffe/bundle-document.ts';
import { pathOf, type SpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { TestAgent, type TestAgentOptions } from '../harness/running-agent.ts';
import { TestServer, type TestServerOptions } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

/** Whoever runs the tests, as the attestor `unix` sees this process. */
export const MYSELF = { type: 'unix', value: `uid:${process.getuid?.()}` };
/** The parent of entries that are for every agent of {@link TestDomain.createToken}. */
export const NODE_PATH = '/node';

export interface TestDomainOptions extends Omit<TestServerOptions, 'folder'> {
  /** A server that is stopped and started again is the one that it was. */
  readonly keysOnDisk?: boolean;
}

/** A server with all that agents need to join it. Disposing removes the folders, too. */
export class TestDomain implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  /** `example.org` by default. */
  readonly trustDomain: string;
  readonly #stack = new AsyncDisposableStack();
  readonly #keysOnDisk: boolean;
  #server: TestServer | undefined;

  private constructor(folder: TemporaryFolder, { trustDomain = 'example.org', keysOnDisk = false }: TestDomainOptions) {
    this.trustDomain = trustDomain;
    this.#keysOnDisk = keysOnDisk;
    this.folder = this.#stack.use(folder);
  }

  static async start(options: TestDomainOptions = {}): Promise<TestDomain> {
    const domain = new TestDomain(await createTemporaryFolder(), options);
    try {
      await domain.startServer(options);
      return domain;
    } catch (error) {
      await domain[Symbol.asyncDispose]();
      throw error;
    }
  }

  get server(): TestServer {
    if (this.#server === undefined) throw new Error('the server is stopped');
    return this.#server;
  }

  get port(): number {
    return this.server.running.port;
  }

  get bundlePath(): string {
    return this.folder.join('bundle.pem');
  }

  async startServer(options: Omit<TestServerOptions, 'folder'> = {}): Promise<void> {
    const { path: folder } = this.folder;
    const plugins = this.#keysOnDisk ? { plugins: diskKeysAndJoinToken(folder) } : {};
    this.#server = await TestServer.start({ folder, trustDomain: this.trustDomain, ...plugins, ...options });
    await writeFileAtomically(this.bundlePath, formatBundlePem(this.#server.running.bundle));
  }

  async stopServer(): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    this.#server = undefined;
  }

  /** A join token whose agent is {@link NODE_PATH}, too. */
  async createToken(): Promise<string> {
    const alias = { trustDomain: this.trustDomain, path: NODE_PATH };
    const { value } = await this.server.admin(AgentDefinition).createJoinToken({ ttl: 600, token: '', agentId: alias });
    return value;
  }

  /** @returns the entry's id. */
  async createEntry(path: string, more: DeepPartial<Entry> = {}): Promise<string> {
    const entry = Entry.fromPartial({
      spiffeId: { trustDomain: this.trustDomain, path },
      parentId: { trustDomain: this.trustDomain, path: NODE_PATH },
      selectors: [MYSELF],
      ...more,
    });
    const { results } = await this.server
      .admin(EntryDefinition)
      .batchCreateEntry({ entries: [entry], outputMask: undefined });
    const [result] = results;
    if (result?.status?.code !== 0 || result.entry === undefined) throw new Error(result?.status?.message);
    return result.entry.id;
  }

  async deleteEntry(id: string): Promise<void> {
    await this.server.admin(EntryDefinition).batchDeleteEntry({ ids: [id] });
  }

  async evict(agentId: SpiffeId): Promise<void> {
    await this.server
      .admin(AgentDefinition)
      .deleteAgent({ id: { trustDomain: this.trustDomain, path: pathOf(agentId) } });
  }

  async ban(agentId: SpiffeId): Promise<void> {
    await this.server.admin(AgentDefinition).banAgent({ id: { trustDomain: this.trustDomain, path: pathOf(agentId) } });
  }

  /** An agent in the folder `name` that joins with a new token, where its settings do not say otherwise. */
  async startAgent(name = 'agent', more: Partial<TestAgentOptions> = {}): Promise<TestAgent> {
    const settings = more.settings ?? `join_token = "${await this.createToken()}"`;
    return await TestAgent.start({
      folder: join(this.folder.path, name),
      serverPort: more.serverPort ?? this.port,
      trustDomain: this.trustDomain,
      ...more,
      settings: /insecure_bootstrap|trust_bundle_/.test(settings)
        ? settings
        : `trust_bundle_path = "${this.bundlePath}"\n  ${settings}`,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopServer();
    await this.#stack.disposeAsync();
  }
}

const diskKeysAndJoinToken = (folder: string) =>
  `KeyManager "disk" { plugin_data { keys_path = "${folder}/data/server-keys.json" } }\n  NodeAttestor "join_token" {}`;
