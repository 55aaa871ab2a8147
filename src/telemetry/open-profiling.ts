import { join } from 'node:path';
import type { ProfilingConfig } from '../config/profiling-config.ts';
import { PageServer } from '../http/page-server.ts';
import { listenInClear } from '../http/tcp-listener.ts';
import type { Logger } from '../log/logger.ts';
import { isSpiffeError } from '../spiffe/error.ts';
import { ProfileFiles } from './profile-files.ts';
import { PROFILES, type ProfileName, Profiler } from './profiler.ts';

export interface OpenProfilingOptions {
  readonly config: ProfilingConfig;
  readonly dataDir: string;
  readonly log: Logger;
}

const HOST = '127.0.0.1';
const DEFAULT_SECONDS = 30;
const MOST_SECONDS = 300;
const TIME_LIMIT_MS = (MOST_SECONDS + 15) * 1000;
const pathOf = (name: ProfileName) => `/debug/profile/${name}`;

/**
 * Profiles of the program, at a port of this host and in files: inventory C021 to C025, C090 to C093. Where that is not
 * configured, does nothing.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`
 */
export async function openProfiling(options: OpenProfilingOptions): Promise<AsyncDisposable | undefined> {
  const { config, dataDir, log } = options;
  if (!config.enabled) return undefined;
  await using stack = new AsyncDisposableStack();
  const profiler = stack.use(new Profiler());
  if (config.port > 0) await servePages(config.port, profiler, stack, log);
  const names = PROFILES.filter((name) => config.names.includes(name));
  for (const name of config.names) {
    if (names.some((known) => known === name)) continue;
    log.warning('a profile of this name is not taken', { name, known: PROFILES.join(', ') });
  }
  if (config.dumpEverySeconds > 0 && names.length > 0) {
    const folder = join(dataDir, 'profiles');
    stack.use(new ProfileFiles({ config, names, folder, profiler, log }));
    log.info('profiles are taken', { names: names.join(', '), every_seconds: config.dumpEverySeconds, folder });
  }
  return stack.move();
}

async function servePages(port: number, profiler: Profiler, stack: AsyncDisposableStack, log: Logger): Promise<void> {
  const pages = PROFILES.map(
    (name) => [pathOf(name), (query: URLSearchParams) => profilePage(name, query, profiler)] as const,
  );
  const directions = `profiles are at ${PROFILES.map(pathOf).join(' and ')}, with ?seconds=N`;
  const server = stack.use(new PageServer({ pages: new Map(pages), directions, log, timeLimitMs: TIME_LIMIT_MS }));
  const onConnection = server.accept.bind(server);
  stack.use(await listenInClear({ host: HOST, port, setting: 'profiling_port', log, onConnection }));
  log.info('profiles are served', { host: HOST, port, paths: PROFILES.map(pathOf).join(', ') });
}

async function profilePage(name: ProfileName, query: URLSearchParams, profiler: Profiler) {
  const contentType = 'text/plain; charset=utf-8';
  const seconds = Number(query.get('seconds') ?? DEFAULT_SECONDS);
  if (!(seconds > 0 && seconds <= MOST_SECONDS)) {
    return { status: 400, contentType, text: `seconds must be a number up to ${MOST_SECONDS}\n` };
  }
  try {
    return { status: 200, contentType: 'application/json', text: await profiler.take(name, seconds) };
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return { status: 409, contentType, text: `${error.message}\n` };
  }
}
