import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Daemon } from './daemon.ts';
import { freePort } from './free-port.ts';

const run = promisify(execFile);

/** A real MariaDB in a temporary folder: on its socket, whoever runs the tests is its root. */
export class MariadbServer implements AsyncDisposable {
  readonly port: number;
  readonly socket: string;
  readonly #folder: string;
  readonly #running = new AsyncDisposableStack();

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
    this.socket = join(folder, 'server.sock');
  }

  /** @param options of its command line */
  static async start(...options: readonly string[]): Promise<MariadbServer> {
    const folder = await mkdtemp(join(tmpdir(), 'mariadb-'));
    const server = new MariadbServer(folder, await freePort());
    try {
      const { username } = userInfo();
      const data = `--datadir=${join(folder, 'data')}`;
      await run('mariadb-install-db', [
        '--no-defaults',
        data,
        `--user=${username}`,
        '--auth-root-authentication-method=socket',
        `--auth-root-socket-user=${username}`,
        '--skip-test-db',
      ]);
      const daemon = await Daemon.start(
        'mariadbd',
        [
          '--no-defaults',
          data,
          `--user=${username}`,
          `--socket=${server.socket}`,
          `--pid-file=${join(folder, 'server.pid')}`,
          '--bind-address=127.0.0.1',
          `--port=${server.port}`,
          '--innodb-buffer-pool-size=16M',
          ...options,
        ],
        async () => (await server.query('select 1')) === '1',
      );
      server.#running.use(daemon);
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs SQL as root of the server. @returns what its client prints, values with tabs between them */
  async query(sql: string): Promise<string> {
    return await runMariadb(['--protocol=socket', `--socket=${this.socket}`, `--user=${userInfo().username}`], sql);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.disposeAsync();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** @throws with what MariaDB's client says */
export async function runMariadb(args: readonly string[], sql: string): Promise<string> {
  const { stdout } = await run('mariadb', ['--no-defaults', ...args, '--batch', '--skip-column-names', `-e${sql}`]);
  return stdout.trimEnd();
}
