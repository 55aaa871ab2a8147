import { join } from 'node:path';
import { readServerConfig } from '../../src/config/server-config.ts';
import { writeFileAtomically } from '../../src/files/write-file-atomically.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type Client, createClient } from '../../src/rpc/client.ts';
import type { ServiceDefinition } from '../../src/rpc/definition.ts';
import { type RunningServer, startServer } from '../../src/server/index.ts';
import { builtinPlugins } from './built-programs.ts';
import { healthPortIn, metricsPortIn, withFreePorts } from './free-ports.ts';

export interface TestServerOptions {
  /** Where its configuration, data and socket live. */
  readonly folder: string;
  /** `example.org` by default. */
  readonly trustDomain?: string;
  /** Lines for the section `server`. */
  readonly settings?: string;
  /** The section `plugins`, without its DataStore. */
  readonly plugins?: string;
  /** Lines of the DataStore; a file of SQLite by default. */
  readonly datastore?: string;
  /** The section `telemetry`; its endpoint's port is one that is free. */
  readonly telemetry?: string;
  /** Whether SPIRE's limits are on, as they are by default: from one address, one node a second attests. */
  readonly rateLimits?: boolean;
  /** The section `health_checks`; its endpoint's port is one that is free. */
  readonly health?: string;
  readonly clock?: () => Date;
  /** 0 by default: any that is free. */
  readonly port?: number;
}

/** A server of ours in this process, with its plugins in theirs; its port is one that was free. */
export class TestServer implements AsyncDisposable {
  readonly running: RunningServer;
  readonly records: readonly LogRecord[];
  readonly datastorePath: string;
  readonly #channel: RpcChannel;

  private constructor(running: RunningServer, datastorePath: string, records: readonly LogRecord[]) {
    this.running = running;
    this.datastorePath = datastorePath;
    this.records = records;
    this.#channel = RpcChannel.unix(running.socketPath);
  }

  static async start({
    folder,
    trustDomain = 'example.org',
    settings = '',
    plugins = MEMORY_AND_JOIN_TOKEN,
    datastore = sqliteIn(folder),
    telemetry = '',
    rateLimits = false,
    health = '',
    clock,
    port = 0,
  }: TestServerOptions): Promise<TestServer> {
    const path = join(folder, 'server.conf');
    await writeFileAtomically(
      path,
      `${serverConf(folder, trustDomain, `${rateLimits ? '' : NO_RATE_LIMITS}\n  ${settings}`, plugins, datastore)}telemetry {\n  ${telemetry}\n}\nhealth_checks {\n  ${health}\n}\n`,
    );
    const records: LogRecord[] = [];
    const log = new Logger((record) => records.push(record), 'debug');
    // In a configuration file 0 means the port that SPIRE takes.
    const config = withFreePorts({ ...readServerConfig({ path }), bindPort: port });
    const running = await startServer(config, {
      builtins: builtinPlugins('server'),
      log,
      ...(clock === undefined ? {} : { clock }),
    });
    return new TestServer(running, join(folder, 'data', 'datastore.sqlite3'), records);
  }

  /** Of the metrics endpoint. */
  get metricsPort(): number {
    return metricsPortIn(this.records);
  }

  /** Of the endpoint for live and ready. */
  get healthPort(): number {
    return healthPortIn(this.records);
  }

  /** A client on the admin socket. */
  admin<Definition extends ServiceDefinition>(definition: Definition): Client<Definition> {
    return createClient(definition, this.#channel);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel[Symbol.dispose]();
    await this.running[Symbol.asyncDispose]();
  }
}

const NO_RATE_LIMITS = 'ratelimit { attestation = false signing = false }';
const MEMORY_AND_JOIN_TOKEN = 'KeyManager "memory" {}\n  NodeAttestor "join_token" {}';

const sqliteIn = (folder: string) => `database_type = "sqlite3" connection_string = "${folder}/data/datastore.sqlite3"`;

function serverConf(folder: string, trustDomain: string, settings: string, plugins: string, datastore: string): string {
  return `server {
  trust_domain = "${trustDomain}"
  data_dir = "${folder}/data"
  bind_address = "127.0.0.1"
  socket_path = "${folder}/admin.sock"
  ${settings}
}
plugins {
  DataStore "sql" { plugin_data { ${datastore} } }
  ${plugins}
}
`;
}
