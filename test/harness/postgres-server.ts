import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { appendFile, chmod, chown, copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { PostgresConfig } from '../../src/config/datastore-config.ts';
import { freePort } from './free-port.ts';

const run = promisify(execFile);
/** Debian's place, a folder a version. */
const VERSIONS = '/usr/lib/postgresql';
const USER = 'assayer';
const PASSWORD = 'not-to-be-logged-7c1d';

export interface PostgresServerOptions {
  /** Lines of postgresql.conf. */
  readonly settings?: readonly string[];
  /** Lines of pg_hba.conf before its own. */
  readonly access?: readonly string[];
  /** Lines of pg_ident.conf. */
  readonly identities?: readonly string[];
  /** Copied into its data. */
  readonly files?: readonly string[];
}

/** A real PostgreSQL in a temporary folder: its socket trusts everybody, over TCP it wants the password. */
export class PostgresServer implements AsyncDisposable {
  readonly port: number;
  /** Of the data and of the Unix socket. */
  readonly folder: string;
  readonly user = USER;
  readonly password = PASSWORD;

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.port = port;
  }

  static async start({
    settings = [],
    access = [],
    identities = [],
    files = [],
  }: PostgresServerOptions = {}): Promise<PostgresServer> {
    const server = new PostgresServer(await mkdtemp(join(tmpdir(), 'postgres-')), await freePort());
    try {
      await chmod(server.folder, 0o711);
      await ownedByPostgres(server.folder);
      await server.#command('initdb', '-U', USER, '-E', 'UTF8', '--locale=C.UTF-8', '-N', '-A', 'trust');
      for (const file of files) await server.#take(file);
      const own = [
        "listen_addresses = '127.0.0.1'",
        `port = ${server.port}`,
        `unix_socket_directories = '${server.folder}'`,
      ];
      await appendFile(join(server.#data, 'postgresql.conf'), `${[...own, ...settings].join('\n')}\n`);
      const rules = [...access, 'local all all trust', 'host all all 127.0.0.1/32 scram-sha-256'];
      await server.#write('pg_hba.conf', rules);
      await server.#write('pg_ident.conf', identities);
      await server.startAgain();
      await server.query(`alter user ${USER} password '${PASSWORD}'`);
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  get #data(): string {
    return join(this.folder, 'data');
  }

  /** For a session of a user whom nobody asks for a password. */
  config(changes: Partial<PostgresConfig> = {}, settings: Readonly<Record<string, string>> = {}): PostgresConfig {
    return {
      databaseType: 'postgres',
      connection: {
        host: this.folder,
        port: this.port,
        database: 'postgres',
        user: USER,
        password: undefined,
        tlsMode: undefined,
        rootCaPath: undefined,
        clientCertPath: undefined,
        clientKeyPath: undefined,
        connectTimeoutSeconds: undefined,
        settings,
      },
      maxOpenConnections: 10,
      maxIdleConnections: 10,
      connectionLifetimeSeconds: 0,
      disableMigration: false,
      ...changes,
    };
  }

  /** Over TCP and without TLS, with the password in it. */
  connectionString(database = 'postgres'): string {
    return `postgres://${USER}:${PASSWORD}@127.0.0.1:${this.port}/${database}?sslmode=disable`;
  }

  /** Runs SQL on a connection of its own; the rows of one statement. */
  async query<Row extends object>(sql: string, database = 'postgres'): Promise<readonly Row[]> {
    const client = new Client({ host: this.folder, port: this.port, user: USER, database });
    await client.connect();
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  async startAgain(): Promise<void> {
    await this.#command('pg_ctl', '-w', '-t', '60', '-l', join(this.folder, 'log'), 'start');
  }

  /** `fast` ends every session with a word, `immediate` is as good as a crash. */
  async stop(mode: 'fast' | 'immediate'): Promise<void> {
    await this.#command('pg_ctl', '-w', '-t', '60', '-m', mode, 'stop');
  }

  /** What it has logged. */
  async log(): Promise<string> {
    return readFile(join(this.folder, 'log'), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (existsSync(join(this.#data, 'postmaster.pid'))) await this.stop('immediate').catch(() => {});
    await rm(this.folder, { recursive: true, force: true });
  }

  async #take(file: string): Promise<void> {
    const path = join(this.#data, basename(file));
    await copyFile(file, path);
    await chmod(path, 0o600);
    await ownedByPostgres(path);
  }

  async #write(name: string, lines: readonly string[]): Promise<void> {
    const path = join(this.#data, name);
    await rm(path);
    await appendFile(path, `${lines.join('\n')}\n`);
    await ownedByPostgres(path);
  }

  /** One of PostgreSQL's own, as a user that is not root: it refuses that one. */
  async #command(name: string, ...args: string[]): Promise<void> {
    const command = [join(programs(), name), '-D', this.#data, ...args];
    const [file = '', ...rest] = isRoot() ? ['runuser', '-u', 'postgres', '--', ...command] : command;
    await run(file, rest, { cwd: this.folder });
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

async function ownedByPostgres(path: string): Promise<void> {
  if (!isRoot()) return;
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, 'postgres'])).stdout)),
  );
  await chown(path, uid ?? 0, gid ?? 0);
}

function programs(): string {
  const [newest] = readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a));
  if (newest === undefined) throw new Error(`no PostgreSQL in ${VERSIONS}: npm run setup installs it`);
  return join(VERSIONS, newest, 'bin');
}
