import { TestDomain } from '../agent/test-domain.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

/** One server of a chain, and an agent of it on this machine. */
export interface Level {
  readonly domain: TestDomain;
  readonly agent: TestAgent;
}

const JOIN_TOKEN = 'NodeAttestor "join_token" {}';

/** Servers of one trust domain, each below the one before, with keys on disk. Disposing stops them from below. */
export class NestedServers implements AsyncDisposable {
  readonly #resources = new AsyncDisposableStack();
  readonly levels: Level[] = [];

  /** @param upstream of the first, as in its configuration; without it, it signs its own CA. */
  static async start(count: number, { upstream = '' }: { upstream?: string } = {}): Promise<NestedServers> {
    const chain = new NestedServers();
    try {
      await chain.#add(upstream);
      while (chain.levels.length < count) await chain.#addBelow();
      return chain;
    } catch (error) {
      await chain[Symbol.asyncDispose]();
      throw error;
    }
  }

  level(index: number): Level {
    const level = this.levels.at(index);
    if (level === undefined) throw new Error(`there is no level ${index}`);
    return level;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  async #addBelow(): Promise<void> {
    const { domain, agent } = this.level(-1);
    await domain.createEntry('/server-below', { downstream: true });
    const { socketPath } = agent.running;
    await this.#add(`UpstreamAuthority "spire" {
    plugin_data { server_address = "127.0.0.1" server_port = ${domain.port} workload_api_socket = "${socketPath}" }
  }`);
  }

  async #add(upstream: string): Promise<void> {
    const keys = this.#resources.use(await createTemporaryFolder());
    const keyManager = `KeyManager "disk" { plugin_data { keys_path = "${keys.join('keys.json')}" } }`;
    const domain = this.#resources.use(
      await TestDomain.start({ plugins: [keyManager, JOIN_TOKEN, upstream].join('\n  ') }),
    );
    const agent = this.#resources.use(await domain.startAgent());
    this.levels.push({ domain, agent });
  }
}
