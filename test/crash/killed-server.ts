import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type Client, createClient } from '../../src/rpc/client.ts';
import type { ServiceDefinition } from '../../src/rpc/definition.ts';
import { createSpiffeCredentials } from '../../src/rpc/tls-client.ts';
import { parseBundlePem } from '../../src/spiffe/bundle-document.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { freePort } from '../harness/free-port.ts';

/** From its sources: of the built program the driver of PostgreSQL is a part, which cannot be got at. */
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const KILL_AT_WRITE = fileURLToPath(new URL('./kill-at-write.ts', import.meta.url));
const TRUST_DOMAIN = parseTrustDomain('example.org');

export interface KilledServerOptions {
  readonly folder: string;
  /** The block `plugin_data` of the DataStore. */
  readonly datastore: string;
  /** Of the statements that write, counted from {@link KilledServer.arm}; 0: none. */
  readonly killAt: number;
  readonly kill?: 'before' | 'after';
}

/** A server in a process of its own that ends, as SIGKILL ends one, at a statement. */
export class KilledServer implements AsyncDisposable {
  readonly port: number;
  readonly #armedBy: string;
  readonly #socketPath: string;
  readonly #child;
  readonly #exited: Promise<unknown>;
  readonly #admin: RpcChannel;

  private constructor(folder: string, port: number, { killAt, kill = 'before' }: KilledServerOptions) {
    this.port = port;
    this.#armedBy = join(folder, 'armed');
    this.#socketPath = join(folder, 'admin.sock');
    this.#child = spawn(
      process.execPath,
      ['--import', KILL_AT_WRITE, MAIN, 'server', 'run', '-config', `${folder}/server.conf`],
      {
        env: { ...process.env, ARMED_BY: this.#armedBy, KILL: kill, KILL_AT: String(killAt) },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    this.#exited = once(this.#child, 'exit');
    this.#admin = RpcChannel.unix(this.#socketPath);
  }

  static async start(options: KilledServerOptions): Promise<KilledServer> {
    const { folder, datastore } = options;
    const port = await freePort();
    await rm(join(folder, 'armed'), { force: true });
    await writeFile(
      join(folder, 'server.conf'),
      `server {
  trust_domain = "${TRUST_DOMAIN}"
  data_dir = "${folder}/data"
  bind_address = "127.0.0.1"
  bind_port = ${port}
  socket_path = "${folder}/admin.sock"
  ratelimit { attestation = false signing = false }
}
plugins {
  DataStore "sql" { plugin_data { ${datastore} } }
  KeyManager "disk" { plugin_data { keys_path = "${folder}/keys.json" } }
  NodeAttestor "join_token" {}
}
`,
    );
    const server = new KilledServer(folder, port, options);
    let output = '';
    for await (const chunk of server.#child.stderr.setEncoding('utf8')) {
      output += String(chunk);
      if (output.includes('server is ready')) break;
    }
    if (!output.includes('server is ready')) throw new Error(`the server did not come up: ${output}`);
    server.#child.stderr.resume();
    return server;
  }

  /** Statements are counted from now on. */
  async arm(): Promise<void> {
    await writeFile(this.#armedBy, '');
  }

  /** Statements that wrote since {@link arm}. */
  async writes(): Promise<readonly string[]> {
    return (await readFile(this.#armedBy, 'utf8')).split('\n').filter(Boolean);
  }

  admin<Definition extends ServiceDefinition>(definition: Definition): Client<Definition> {
    return createClient(definition, this.#admin);
  }

  /** Anonymous, over TLS. */
  openTls(bundlePem: string): RpcChannel {
    const bundle = parseBundlePem(bundlePem, TRUST_DOMAIN);
    const expectedId = parseSpiffeId(`spiffe://${TRUST_DOMAIN}/spire/server`);
    const credentials = createSpiffeCredentials({ expectedId, bundle: () => bundle, identity: () => undefined });
    return RpcChannel.open(`dns:///127.0.0.1:${this.port}`, credentials);
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Waits for the kill. @returns the signal */
  async killed(): Promise<NodeJS.Signals | null> {
    await this.#exited;
    return this.#child.signalCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#admin[Symbol.dispose]();
    if (!this.hasEnded) this.#child.kill('SIGTERM');
    await this.#exited;
  }
}
