import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodePem } from '../../src/x509/pem.ts';

export type EnvoyVersion = 'oldest' | 'newest';

export interface EnvoyOptions {
  readonly version: EnvoyVersion;
  /** Its own: for its configuration, log and admin socket. */
  readonly folder: string;
  /** `static_resources` of its bootstrap. */
  readonly listeners: readonly object[];
  readonly clusters: readonly object[];
  /** `node.metadata`. */
  readonly metadata?: object;
}

/** The parts of Envoy's dump of secrets that are read. */
interface SecretsPage {
  readonly configs?: readonly {
    readonly name: string;
    readonly secret?: {
      readonly tls_certificate?: { readonly certificate_chain: Source };
      readonly validation_context?: {
        readonly custom_validator_config?: {
          readonly typed_config: { readonly trust_domains: readonly { readonly trust_bundle: Source }[] };
        };
      };
    };
  }[];
}

/** PEM, in base64 once more. */
interface Source {
  readonly inline_bytes: string;
}

const bundleOf = ({ trust_bundle: bundle }: { readonly trust_bundle: Source }) => bundle;

/** Longest wait for it to be live: secrets that never come hold it up for what {@link secret} gives them. */
const START_MS = 30_000;

/** A real Envoy, killed on disposal. */
export class Envoy implements AsyncDisposable {
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(folder: string, process: ChildProcess) {
    this.#folder = folder;
    this.#process = process;
  }

  static async start({ version, folder, listeners, clusters, metadata = {} }: EnvoyOptions): Promise<Envoy> {
    await mkdir(folder, { recursive: true });
    const bootstrap = {
      node: { id: version, cluster: 'test', metadata },
      admin: { address: { pipe: { path: join(folder, 'admin.sock') } } },
      static_resources: { listeners, clusters },
    };
    const path = join(folder, 'envoy.json');
    await writeFile(path, JSON.stringify(bootstrap));
    const log = createWriteStream(join(folder, 'log'), { flags: 'a' });
    await once(log, 'open');
    const args = ['-c', path, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warning'];
    const child = spawn(executableOf(version), args, { stdio: ['ignore', log, log] });
    await once(child, 'spawn');
    log.end();
    const envoy = new Envoy(folder, child);
    try {
      await envoy.#waitUntilLive();
      return envoy;
    } catch (error) {
      await envoy[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Of a listener whose configuration says 0. */
  async portOf(listener: string): Promise<number> {
    const { listener_statuses: statuses } = JSON.parse(await this.admin('/listeners?format=json'));
    const found = statuses.find(({ name }: { name: string }) => name === listener);
    return found.local_address.socket_address.port_value;
  }

  async log(): Promise<string> {
    return await readFile(join(this.#folder, 'log'), 'utf8');
  }

  /** A page of its admin interface. */
  async admin(path: string): Promise<string> {
    return await new Promise((resolve, reject) => {
      const sent = request({ socketPath: join(this.#folder, 'admin.sock'), path }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(Buffer.concat(chunks).toString()));
      });
      sent.on('error', reject).end();
    });
  }

  /** The certificates in a secret that it uses now, of its own or to verify others by: serial numbers. */
  async certificatesOf(secretName: string): Promise<readonly string[]> {
    const { configs = [] }: SecretsPage = JSON.parse(await this.admin('/config_dump?resource=dynamic_active_secrets'));
    const { secret } = configs.find(({ name }) => name === secretName) ?? {};
    const validator = secret?.validation_context?.custom_validator_config?.typed_config;
    const sources = [secret?.tls_certificate?.certificate_chain, ...(validator?.trust_domains ?? []).map(bundleOf)];
    const pem = sources.map((source) => Buffer.from(source?.inline_bytes ?? '', 'base64').toString()).join('');
    return decodePem(pem, 'CERTIFICATE').map((der) => new X509Certificate(der).serialNumber);
  }

  /** A counter or gauge, of any whose name matches: all together. */
  async count(pattern: RegExp): Promise<number> {
    const lines = (await this.admin('/stats')).split('\n').filter((line) => pattern.test(line));
    return lines.reduce((sum, line) => sum + Number(line.split(': ').at(-1)), 0);
  }

  async #waitUntilLive(): Promise<void> {
    const deadline = Date.now() + START_MS;
    for (;;) {
      const state = await this.admin('/ready').catch(() => '');
      if (state.startsWith('LIVE')) return;
      if (this.#process.exitCode !== null || Date.now() > deadline) {
        throw new Error(`Envoy did not start: ${(await this.log()).slice(-4_000)}`);
      }
      await sleep(50);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }
}

/** Where set-up puts it; what the attestor `unix` says of its process. */
export function executableOf(version: EnvoyVersion): string {
  return join(import.meta.dirname, '..', '..', 'tools', 'envoy', version, 'envoy', '_bin', 'envoy');
}
