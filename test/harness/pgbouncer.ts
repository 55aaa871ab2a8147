import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { PostgresConfig } from '../../src/config/datastore-config.ts';
import { Daemon } from './daemon.ts';
import { freePort } from './free-port.ts';
import type { PostgresServer } from './postgres-server.ts';

/** A real PgBouncer before a PostgreSQL, on a socket in a temporary folder; it keeps sessions together. */
export class PgBouncer implements AsyncDisposable {
  readonly #postgres: PostgresServer;
  readonly #folder: string;
  readonly #port: number;
  #daemon: Daemon | undefined;

  private constructor(postgres: PostgresServer, folder: string, port: number) {
    this.#postgres = postgres;
    this.#folder = folder;
    this.#port = port;
  }

  static async start(postgres: PostgresServer): Promise<PgBouncer> {
    const pooler = new PgBouncer(postgres, await mkdtemp(join(tmpdir(), 'pgbouncer-')), await freePort());
    await chmod(pooler.#folder, 0o777); // it runs as another user than root
    await pooler.restart();
    return pooler;
  }

  /** What a datastore connects to in place of PostgreSQL. */
  config(): PostgresConfig {
    const config = this.#postgres.config();
    return { ...config, connection: { ...config.connection, host: this.#folder, port: this.#port } };
  }

  async restart(): Promise<void> {
    await this.#daemon?.[Symbol.asyncDispose]();
    const file = join(this.#folder, 'pgbouncer.ini');
    const { folder, port, user } = this.#postgres;
    const lines = [
      '[databases]',
      `* = host=${folder} port=${port} user=${user}`,
      '[pgbouncer]',
      'listen_addr =',
      `listen_port = ${this.#port}`,
      `unix_socket_dir = ${this.#folder}`,
      'auth_type = any',
      'pool_mode = session',
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    const asUser = process.getuid?.() === 0 ? ['-u', 'postgres'] : [];
    this.#daemon = await Daemon.start('/usr/sbin/pgbouncer', [...asUser, file], () => this.#answers());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #answers(): Promise<boolean> {
    const client = new Client({ host: this.#folder, port: this.#port, user: 'assayer', database: 'postgres' });
    await client.connect();
    await client.end();
    return true;
  }
}
