import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { HelperConfig, KnownServer } from '../config/helper-config.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { findProgramName, readPidFile, signalProcess } from './read-pid-file.ts';

const run = promisify(execFile);
const TIME_LIMIT_MS = 10_000;
const DEFAULT_MARIADB_SOCKET = '/run/mysqld/mysqld.sock';

/** How servers are told by a signal, and what their processes are called. */
const SIGNALLED: Readonly<
  Record<Exclude<KnownServer, 'mariadb'>, { readonly signal: NodeJS.Signals; readonly program: RegExp }>
> = {
  postgresql: { signal: 'SIGHUP', program: /^(postgres|postmaster)/ },
  nginx: { signal: 'SIGHUP', program: /^(nginx|openresty|angie)/ },
  haproxy: { signal: 'SIGUSR2', program: /^haproxy/ },
};

/**
 * Has a server read its certificate, key and bundle again, connections that are open kept.
 *
 * @throws SpiffeError `FAILED_PRECONDITION`
 */
export async function reloadServer(
  { server, socket, defaultsFile }: NonNullable<HelperConfig['reload']>,
  pidFile: string,
): Promise<void> {
  if (server === 'mariadb') return await flushSsl(socket ?? DEFAULT_MARIADB_SOCKET, defaultsFile);
  const pid = await readPidFile(pidFile);
  const { signal, program } = SIGNALLED[server];
  const name = await findProgramName(pid);
  // The number may be another's by now, and SIGHUP ends most programs.
  if (name !== undefined && !program.test(name)) {
    const message = `process ${pid} of "${pidFile}" is ${JSON.stringify(name)}, not ${server}: it is left alone`;
    throw new SpiffeError('FAILED_PRECONDITION', message);
  }
  signalProcess(pid, signal);
}

/** MariaDB's own client asks: a password, where one is needed, stays in a file that it reads by itself. */
async function flushSsl(socket: string, defaultsFile: string | undefined): Promise<void> {
  const defaults = defaultsFile === undefined ? [] : [`--defaults-extra-file=${defaultsFile}`];
  const args = [...defaults, '--protocol=socket', `--socket=${socket}`, '--batch', '--execute=FLUSH SSL'];
  try {
    await run('mariadb', args, { timeout: TIME_LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 });
  } catch (cause) {
    throw new SpiffeError('FAILED_PRECONDITION', `MariaDB did not take FLUSH SSL: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if ('code' in cause && cause.code === 'ENOENT') return 'its client "mariadb" is not installed';
  if ('killed' in cause && cause.killed === true) return `no answer within ${TIME_LIMIT_MS / 1000} s`;
  const stderr = 'stderr' in cause && typeof cause.stderr === 'string' ? cause.stderr.trim() : '';
  return stderr === '' ? 'its client failed' : stderr.slice(0, 500);
}
