import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type RunningAgent, startAgent } from '../../src/agent/index.ts';
import { readAgentConfig } from '../../src/config/agent-config.ts';
import { writeFileAtomically } from '../../src/files/write-file-atomically.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type Client, createClient } from '../../src/rpc/client.ts';
import type { ServiceDefinition } from '../../src/rpc/definition.ts';
import { builtinPlugins } from './built-programs.ts';
import { healthPortIn, metricsPortIn, withFreePorts } from './free-ports.ts';

export interface TestAgentOptions {
  /** Where its configuration, data and socket live. */
  readonly folder: string;
  readonly serverPort: number;
  /** Lines for the section `agent`, such as where its trust bundle is and its join token. */
  readonly settings: string;
  /** The section `plugins`. */
  readonly plugins?: string;
  /** The section `telemetry`; its endpoint's port is one that is free. */
  readonly telemetry?: string;
  /** The section `health_checks`; its endpoint's port is one that is free. */
  readonly health?: string;
  readonly trustDomain?: string;
  /** How often it asks the server by itself. */
  readonly syncInterval?: string;
  /** More lines for the section `agent.experimental`. */
  readonly experimental?: string;
  readonly clock?: () => Date;
}

/** An agent of ours in this process, with its plugins in theirs. */
export class TestAgent implements AsyncDisposable {
  readonly running: RunningAgent;
  readonly records: readonly LogRecord[];
  readonly #channel: RpcChannel;

  private constructor(running: RunningAgent, records: readonly LogRecord[]) {
    this.running = running;
    this.records = records;
    this.#channel = RpcChannel.unix(running.socketPath);
  }

  static async start(options: TestAgentOptions): Promise<TestAgent> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const path = join(options.folder, 'agent.conf');
    await writeFileAtomically(path, agentConf(options));
    const records: LogRecord[] = [];
    const log = new Logger((record) => records.push(record), 'debug');
    const { clock } = options;
    const running = await startAgent(withFreePorts(readAgentConfig({ path })), {
      builtins: builtinPlugins('agent'),
      log,
      ...(clock === undefined ? {} : { clock }),
    });
    return new TestAgent(running, records);
  }

  /** A client on the Workload API's socket: this process is the workload. */
  workload<Definition extends ServiceDefinition>(definition: Definition): Client<Definition> {
    return createClient(definition, this.#channel);
  }

  /** Of the metrics endpoint. */
  get metricsPort(): number {
    return metricsPortIn(this.records);
  }

  /** Of the endpoint for live and ready. */
  get healthPort(): number {
    return healthPortIn(this.records);
  }

  /** The messages that it logged. */
  get messages(): readonly string[] {
    return this.records.map(({ message }) => message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel[Symbol.dispose]();
    await this.running[Symbol.asyncDispose]();
  }
}

/** Keys that survive a restart: in the agent's data folder. */
export const diskKeys = (folder: string): string =>
  `KeyManager "disk" { plugin_data { directory = "${folder}/data" } }`;
export const JOIN_TOKEN_AND_UNIX = 'NodeAttestor "join_token" {}\n  WorkloadAttestor "unix" {}';

function agentConf(options: TestAgentOptions): string {
  const { folder, serverPort, settings, plugins, telemetry = '', health = '', trustDomain = 'example.org' } = options;
  const { syncInterval = '1s', experimental = '' } = options;
  return `agent {
  trust_domain = "${trustDomain}"
  data_dir = "${folder}/data"
  server_address = "127.0.0.1"
  server_port = ${serverPort}
  socket_path = "${folder}/public/api.sock"
  experimental {
    sync_interval = "${syncInterval}"
    ${experimental}
  }
  ${settings}
}
plugins {
  ${plugins ?? `${diskKeys(folder)}\n  ${JOIN_TOKEN_AND_UNIX}`}
}
telemetry {
  ${telemetry}
}
health_checks {
  ${health}
}
`;
}
