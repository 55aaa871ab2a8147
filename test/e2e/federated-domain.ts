import { mkdir } from 'node:fs/promises';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { LocalAuthorityDefinition } from '../../src/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { TrustDomainDefinition } from '../../src/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type Client, createClient } from '../../src/rpc/client.ts';
import type { ServiceDefinition } from '../../src/rpc/definition.ts';
import { AgentProcess } from '../cli/agent-process.ts';
import { ServerProcess } from '../cli/server-process.ts';
import { freePort } from '../harness/free-port.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

export interface FederatedDomainOptions {
  readonly name: string;
  /** The block `profile` of its bundle endpoint. */
  readonly profile: string;
  readonly bundleEndpointPort: number;
  /** More of the section `federation`. */
  readonly federation?: string;
  /** Whom its server trusts to serve bundles by https_web. */
  readonly webCaPath: string;
}

/** A trust domain with a server and an agent, each a process of its own. Disposing ends them. */
export class FederatedDomain implements AsyncDisposable {
  readonly name: string;
  readonly folder: TemporaryFolder;
  server: ServerProcess;
  readonly #conf: Parameters<typeof ServerProcess.start>[0];
  readonly #stack: AsyncDisposableStack;
  #agent: AgentProcess | undefined;

  private constructor(
    name: string,
    folder: TemporaryFolder,
    server: ServerProcess,
    conf: Parameters<typeof ServerProcess.start>[0],
    stack: AsyncDisposableStack,
  ) {
    this.name = name;
    this.folder = folder;
    this.server = server;
    this.#conf = conf;
    this.#stack = stack;
  }

  static async start(options: FederatedDomainOptions): Promise<FederatedDomain> {
    const { name, profile, bundleEndpointPort, federation = '', webCaPath } = options;
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await createTemporaryFolder());
    const conf = {
      folder: folder.path,
      trustDomain: name,
      bindPort: await freePort(),
      settings: `ratelimit { attestation = false signing = false }
  federation {
    bundle_endpoint { address = "127.0.0.1" port = ${bundleEndpointPort} refresh_hint = "1m" ${profile} }
    ${federation}
  }`,
      plugins: `KeyManager "disk" { plugin_data { keys_path = "${folder.path}/data/keys.json" } }
  NodeAttestor "join_token" {}`,
      env: { NODE_EXTRA_CA_CERTS: webCaPath },
    };
    const server = stack.use(await ServerProcess.start(conf));
    return new FederatedDomain(name, folder, server, conf, stack.move());
  }

  get agentSocket(): string {
    return `${this.folder.path}/agent-home/agent.sock`;
  }

  async startAgent(): Promise<void> {
    const folder = this.folder.join('agent-home');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const settings = 'experimental { sync_interval = "1s" }';
    this.#agent = this.#stack.use(
      await AgentProcess.start({ folder, server: this.server, trustDomain: this.name, settings }),
    );
  }

  /** Whether the agent has heard of an authority of its own trust domain: a server that another one vouches for is lost to it. */
  async agentTrusts(authorityId: string): Promise<boolean> {
    using channel = RpcChannel.unix(this.agentSocket);
    const metadata = { 'workload.spiffe.io': 'true' };
    for await (const { bundles } of createClient(SpiffeWorkloadAPIDefinition, channel).fetchX509Bundles(
      {},
      { metadata },
    )) {
      return Buffer.from(bundles[`spiffe://${this.name}`] ?? []).includes(Buffer.from(authorityId, 'hex'));
    }
    return false;
  }

  /** The last process was killed. */
  async restartServer(): Promise<void> {
    this.server = this.#stack.use(await ServerProcess.start(this.#conf));
  }

  async call<Definition extends ServiceDefinition, Answer>(
    definition: Definition,
    work: (client: Client<Definition>) => Promise<Answer>,
  ): Promise<Answer> {
    using channel = RpcChannel.unix(this.server.socketPath);
    return await work(createClient(definition, channel));
  }

  /** An entry for whoever runs the tests. */
  async entitle(path: string, federatesWith: string): Promise<void> {
    const entry = Entry.fromPartial({
      spiffeId: { trustDomain: this.name, path },
      parentId: { trustDomain: this.name, path: '/node' },
      selectors: [{ type: 'unix', value: `uid:${process.getuid?.()}` }],
      federatesWith: [federatesWith],
    });
    const { results } = await this.call(EntryDefinition, (api) =>
      api.batchCreateEntry({ entries: [entry], outputMask: undefined }),
    );
    const [status] = results.map((result) => result.status);
    if (status?.code !== 0) throw new Error(status?.message);
  }

  async countBundles(): Promise<number> {
    return (await this.call(BundleDefinition, (api) => api.countBundles({}, { deadlineMs: 10_000 }))).count;
  }

  async refresh(trustDomain: string): Promise<void> {
    await this.call(TrustDomainDefinition, (api) => api.refreshBundle({ trustDomain }, { deadlineMs: 60_000 }));
  }

  /** @returns the IDs of the authority that signs and of the one that is to follow */
  async prepare(): Promise<{ readonly active: string; readonly next: string }> {
    return await this.call(LocalAuthorityDefinition, async (api) => {
      const { active } = await api.getX509AuthorityState({});
      const { preparedAuthority } = await api.prepareX509Authority({});
      return { active: active?.authorityId ?? '', next: preparedAuthority?.authorityId ?? '' };
    });
  }

  async activate(authorityId: string): Promise<void> {
    await this.call(LocalAuthorityDefinition, (api) => api.activateX509Authority({ authorityId }));
  }

  async taint(authorityId: string): Promise<void> {
    await this.call(LocalAuthorityDefinition, (api) => api.taintX509Authority({ authorityId }));
  }

  async revoke(authorityId: string): Promise<void> {
    await this.call(LocalAuthorityDefinition, (api) => api.revokeX509Authority({ authorityId }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.[Symbol.asyncDispose]();
    await this.#stack.disposeAsync();
  }
}
