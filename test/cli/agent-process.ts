import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CliOptions, type CliResult, ProgramProcess, runCli } from './run-cli.ts';
import type { ServerProcess } from './server-process.ts';

export interface AgentConf {
  readonly folder: string;
  readonly server: ServerProcess;
  readonly trustDomain?: string;
  /** The server's own by default. */
  readonly bundle?: string;
  readonly socketPath?: string;
  readonly serverPort?: number;
  /** More lines for the section `agent`. */
  readonly settings?: string;
}

/** @returns the path of the file */
export async function writeAgentConf(conf: AgentConf): Promise<string> {
  const {
    folder,
    server,
    trustDomain = 'example.org',
    socketPath = `${folder}/agent.sock`,
    serverPort = server.port,
    settings = '',
  } = conf;
  const bundle = conf.bundle ?? (await server.run(['bundle', 'show'])).stdout;
  await writeFile(join(folder, 'bundle.pem'), bundle);
  const path = join(folder, 'agent.conf');
  await writeFile(
    path,
    `agent {
  trust_domain = "${trustDomain}"
  data_dir = "${folder}/agent"
  server_address = "127.0.0.1"
  server_port = ${serverPort}
  socket_path = "${socketPath}"
  trust_bundle_path = "${folder}/bundle.pem"
  ${settings}
}
plugins {
  KeyManager "memory" {}
  NodeAttestor "join_token" {}
  WorkloadAttestor "unix" {}
}
`,
  );
  return path;
}

/** @returns a token for an agent that gets `/node` of its trust domain too */
export async function createJoinToken(server: ServerProcess, trustDomain = 'example.org'): Promise<string> {
  const { json } = await server.runJson(['token', 'generate', '-spiffeID', `spiffe://${trustDomain}/node`]);
  return String(json.value);
}

/** An agent as a user runs it, and the commands that ask it. */
export class AgentProcess implements AsyncDisposable {
  readonly program: ProgramProcess;
  readonly socketPath: string;

  private constructor(program: ProgramProcess, socketPath: string) {
    this.program = program;
    this.socketPath = socketPath;
  }

  static async start(conf: AgentConf): Promise<AgentProcess> {
    const path = await writeAgentConf(conf);
    const token = await createJoinToken(conf.server, conf.trustDomain);
    const program = new ProgramProcess(['agent', 'run', '-config', path, '-joinToken', token]);
    await program.waitFor('agent is ready');
    return new AgentProcess(program, `${conf.folder}/agent.sock`);
  }

  /** `assayer agent …`, with the socket of this one. */
  run(args: readonly string[], options?: CliOptions): Promise<CliResult> {
    return runCli(['agent', ...args, '-socketPath', this.socketPath], options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
  }
}
