import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../harness/free-port.ts';
import { type CliOptions, type CliResult, ProgramProcess, runCli } from './run-cli.ts';

export interface ServerConf {
  readonly folder: string;
  /** `example.org` by default. */
  readonly trustDomain?: string;
  readonly bindPort?: number;
  readonly socketPath?: string;
  /** More lines for the section `server`. */
  readonly settings?: string;
  /** The section `plugins`, without its DataStore. */
  readonly plugins?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const PLUGINS = 'KeyManager "memory" {}\n  NodeAttestor "join_token" {}';

/** @returns the path of the file */
export async function writeServerConf(conf: ServerConf): Promise<string> {
  const { folder, bindPort = 0, socketPath = `${folder}/admin.sock`, settings = '', plugins = PLUGINS } = conf;
  const { trustDomain = 'example.org' } = conf;
  const path = join(folder, 'server.conf');
  await writeFile(
    path,
    `server {
  trust_domain = "${trustDomain}"
  data_dir = "${folder}/data"
  bind_address = "127.0.0.1"
  bind_port = ${bindPort}
  socket_path = "${socketPath}"
  ${settings}
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${folder}/data/datastore.sqlite3" } }
  ${plugins}
}
`,
  );
  return path;
}

/** A server as a user runs it, and the commands that ask it. */
export class ServerProcess implements AsyncDisposable {
  readonly program: ProgramProcess;
  readonly socketPath: string;

  private constructor(program: ProgramProcess, socketPath: string) {
    this.program = program;
    this.socketPath = socketPath;
  }

  static async start(conf: ServerConf): Promise<ServerProcess> {
    const path = await writeServerConf({ bindPort: await freePort(), ...conf });
    const program = new ProgramProcess(['server', 'run', '-config', path], 'stderr', conf.env);
    await program.waitFor('server is ready');
    return new ServerProcess(program, conf.socketPath ?? `${conf.folder}/admin.sock`);
  }

  /** Port of the API for agents. */
  get port(): number {
    return Number(/msg="server is ready".* port=(\d+)/.exec(this.program.text)?.[1]);
  }

  /** `assayer server …`, with the socket of this one. */
  run(args: readonly string[], options?: CliOptions): Promise<CliResult> {
    return runCli(['server', ...args, '-socketPath', this.socketPath], options);
  }

  /** As {@link run}, and reads what it prints as JSON. */
  async runJson(args: readonly string[], options?: CliOptions) {
    const { code, stdout, stderr } = await this.run([...args, '-output', 'json'], options);
    return { code, stderr, json: JSON.parse(stdout) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
  }
}
