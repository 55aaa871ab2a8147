import type { HealthChecksConfig } from '../config/health-config.ts';
import type { Logger } from '../log/logger.ts';
import { type HealthCheck, HealthChecks, type HealthState } from './health-checks.ts';
import { type Page, PageServer } from './page-server.ts';
import { listenInClear } from './tcp-listener.ts';

export interface HealthEndpointOptions {
  readonly config: HealthChecksConfig;
  readonly checks: readonly HealthCheck[];
  readonly log: Logger;
}

/**
 * Answers whether the program is live and whether it is ready: 200 or 500, and as JSON the details of each subsystem.
 * Where it is not configured, does nothing. Inventory C143 to C147. Disposing closes it and cuts its connections.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`
 */
export async function openHealthEndpoint({
  config: { listenerEnabled, bindAddress: host, bindPort, livePath, readyPath },
  checks,
  log,
}: HealthEndpointOptions): Promise<AsyncDisposable | undefined> {
  if (!listenerEnabled) return undefined;
  await using stack = new AsyncDisposableStack();
  const health = new HealthChecks({ checks, log });
  const server = stack.use(
    new PageServer({
      pages: new Map([
        [livePath, async () => toPage(await health.current(), 'isLive', 'liveDetails')],
        [readyPath, async () => toPage(await health.current(), 'isReady', 'readyDetails')],
      ]),
      directions: `health is at ${livePath} and ${readyPath}`,
      log,
    }),
  );
  const { port } = stack.use(
    await listenInClear({
      host,
      port: bindPort,
      setting: 'health_checks',
      log,
      onConnection: server.accept.bind(server),
    }),
  );
  log.info('health checks are served', { host, port, live_path: livePath, ready_path: readyPath });
  return stack.move();
}

function toPage(
  states: ReadonlyMap<string, HealthState>,
  verdict: 'isLive' | 'isReady',
  details: 'liveDetails' | 'readyDetails',
): Page {
  const isWell = [...states.values()].every((state) => state[verdict]);
  const bySubsystem = Object.fromEntries([...states].map(([name, state]) => [name, state[details]]));
  return { status: isWell ? 200 : 500, contentType: 'application/json', text: `${JSON.stringify(bySubsystem)}\n` };
}
