import { writeFile } from 'node:fs/promises';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type Client, createClient } from '../../src/rpc/client.ts';
import type { ServiceDefinition } from '../../src/rpc/definition.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { freePort } from '../harness/free-port.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { Program } from './program.ts';

const CALL = { deadlineMs: 20_000 };
const NODE_PATH = '/node';

/** A server as a process, with a folder of its own and a database that it may share. It can be killed and started again. */
export class ServerProcess implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly port: number;
  readonly healthPort: number;
  program: Program | undefined;
  readonly #connectionString: string;

  private constructor(folder: TemporaryFolder, ports: readonly number[], connectionString: string) {
    this.folder = folder;
    this.port = ports[0] ?? 0;
    this.healthPort = ports[1] ?? 0;
    this.#connectionString = connectionString;
  }

  /** @param connectionString of PostgreSQL */
  static async start(connectionString: string): Promise<ServerProcess> {
    const folder = await createTemporaryFolder();
    const server = new ServerProcess(folder, [await freePort(), await freePort()], connectionString);
    await writeFile(folder.join('server.conf'), server.#conf());
    try {
      await server.start();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  async start(): Promise<void> {
    this.program = await Program.start(['server', 'run', '-config', this.folder.join('server.conf')], this.folder.path);
    await this.program.waitFor('server is ready');
  }

  /** Its caller may be refused: an answer is the outcome. */
  async admin<Definition extends ServiceDefinition, T>(
    definition: Definition,
    use: (client: Client<Definition>) => Promise<T>,
  ): Promise<T> {
    using channel = RpcChannel.unix(this.folder.join('admin.sock'));
    return await use(createClient(definition, channel));
  }

  /** The CAs of the bundle that it serves. */
  async bundlePem(): Promise<string> {
    const bundle = await this.admin(BundleDefinition, (api) => api.getBundle({ outputMask: undefined }, CALL));
    return bundle.x509Authorities.map(({ asn1 }) => encodePem('CERTIFICATE', asn1)).join('');
  }

  async createToken(): Promise<string> {
    const agentId = { trustDomain: 'example.org', path: NODE_PATH };
    const { value } = await this.admin(AgentDefinition, (api) =>
      api.createJoinToken({ ttl: 600, token: '', agentId }, CALL),
    );
    return value;
  }

  /** For processes of the user who runs the tests, on every node with a token. @returns its ID */
  async createEntry(path: string): Promise<string> {
    const entry = Entry.fromPartial({
      spiffeId: { trustDomain: 'example.org', path },
      parentId: { trustDomain: 'example.org', path: NODE_PATH },
      selectors: [{ type: 'unix', value: `uid:${process.getuid?.()}` }],
    });
    const { results } = await this.admin(EntryDefinition, (api) =>
      api.batchCreateEntry({ entries: [entry], outputMask: undefined }, CALL),
    );
    const [result] = results;
    if (result?.status?.code !== 0 || result.entry === undefined) throw new Error(result?.status?.message);
    return result.entry.id;
  }

  async isReady(): Promise<boolean> {
    const answer = await fetch(`http://127.0.0.1:${this.healthPort}/ready`).catch(() => undefined);
    return answer?.status === 200;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program?.[Symbol.asyncDispose]();
    await this.folder[Symbol.asyncDispose]();
  }

  #conf(): string {
    const data = this.folder.join('data');
    return `server {
  trust_domain = "example.org"
  data_dir = "${data}"
  bind_address = "127.0.0.1"
  bind_port = ${this.port}
  socket_path = "${this.folder.join('admin.sock')}"
  log_format = "json"
  log_level = "debug"
  ratelimit { attestation = false signing = false }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "postgres" connection_string = "${this.#connectionString}" } }
  KeyManager "disk" { plugin_data { keys_path = "${data}/keys.json" } }
  NodeAttestor "join_token" {}
}
health_checks { listener_enabled = true bind_address = "127.0.0.1" bind_port = "${this.healthPort}" live_path = "/live" ready_path = "/ready" }
`;
  }
}
