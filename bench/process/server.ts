import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type Client, createClient } from '../../src/rpc/client.ts';
import type { ServiceDefinition } from '../../src/rpc/definition.ts';
import { Program } from './program.ts';

export const TRUST_DOMAIN = 'example.org';

export interface BenchServerOptions {
  /** For configuration, data and socket. */
  readonly folder: string;
  readonly dist: string;
  /** PEM of the CAs of EK certificates; without either there is no `tpm` attestor. */
  readonly ekCaPath?: string;
  /** The same for TPMs that are software. */
  readonly softwareEkCaPath?: string;
  /** Whether nodes send the event log of their boot. */
  readonly eventLog?: boolean;
  /** What signs: the key manager's key, or one in the server's own memory below it. */
  readonly caSigning?: 'key_manager' | 'intermediate';
}

/** A server with SQLite on disk and its keys in memory, as SPIRE's figures were taken. */
export class BenchServer implements AsyncDisposable {
  readonly program: Program;
  readonly adminSocket: string;
  readonly port: number;
  /** On the admin socket. */
  readonly channel: RpcChannel;

  private constructor(program: Program, adminSocket: string, port: number) {
    this.program = program;
    this.adminSocket = adminSocket;
    this.port = port;
    this.channel = RpcChannel.unix(adminSocket);
  }

  /** Resolves once it answers. */
  static async start(options: BenchServerOptions): Promise<BenchServer> {
    const { folder, dist } = options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const port = await findFreePort();
    const adminSocket = join(folder, 'admin.sock');
    const path = join(folder, 'server.conf');
    await writeFile(path, serverConf(options, adminSocket, port));
    const program = Program.start({ name: 'server', dist, args: ['server', 'run', '-config', path] });
    const server = new BenchServer(program, adminSocket, port);
    try {
      await program.waitForSocket(adminSocket);
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A client on the admin socket. */
  admin<Definition extends ServiceDefinition>(definition: Definition): Client<Definition> {
    return createClient(definition, this.channel);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.channel[Symbol.dispose]();
    await this.program[Symbol.asyncDispose]();
  }
}

async function findFreePort(): Promise<number> {
  const probe = createServer();
  await once(probe.listen(0, '127.0.0.1'), 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}

function serverConf(options: BenchServerOptions, adminSocket: string, port: number): string {
  const { folder, ekCaPath, softwareEkCaPath, eventLog = false, caSigning = 'key_manager' } = options;
  const data = join(folder, 'data');
  const settings = [
    ...(ekCaPath === undefined ? [] : [`ca_path = "${ekCaPath}"`]),
    ...(softwareEkCaPath === undefined ? [] : [`virtual_ca_path = "${softwareEkCaPath}"`]),
    ...(eventLog ? ['event_log = true'] : []),
  ];
  const tpm = settings.length === 0 ? '' : `NodeAttestor "tpm" { plugin_data { ${settings.join('\n')} } }`;
  return `server {
  trust_domain = "${TRUST_DOMAIN}"
  data_dir = "${data}"
  bind_address = "127.0.0.1"
  bind_port = ${port}
  socket_path = "${adminSocket}"
  log_level = "WARN"
  ca_signing = "${caSigning}"
  ratelimit { attestation = false signing = false }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${data}/datastore.sqlite3" } }
  KeyManager "memory" {}
  NodeAttestor "join_token" {}
  ${tpm}
}
`;
}
