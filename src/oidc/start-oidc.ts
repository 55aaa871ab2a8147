import type { OidcConfig } from '../config/oidc-config.ts';
import { openHealthEndpoint } from '../http/health-endpoint.ts';
import { PageServer } from '../http/page-server.ts';
import type { Logger } from '../log/logger.ts';
import { describeSource, fetchKeys } from './fetch-keys.ts';
import { KeySource } from './key-source.ts';
import { type Listening, listenFor } from './listen.ts';
import { documentPages } from './pages.ts';

export interface OidcOptions {
  readonly log: Logger;
  readonly clock?: () => Date;
}

export interface RunningOidc extends AsyncDisposable {
  /** As bound; undefined for a Unix socket. */
  readonly port: number | undefined;
}

/** Of relying parties, each of which asks now and then; a proxy may hold many open. */
const MAX_CONNECTIONS = 1024;

/**
 * Shows relying parties of OpenID Connect how to verify JWT-SVIDs: a discovery document and the keys.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`, `CONFIG_INVALID` for files that cannot be used
 */
export async function startOidc(
  config: OidcConfig,
  { log, clock = () => new Date() }: OidcOptions,
): Promise<RunningOidc> {
  await using stack = new AsyncDisposableStack();
  const { source, healthChecks, pathPrefix, logRequests } = config;
  const keys = stack.use(
    KeySource.start({
      from: describeSource(source),
      fetch: (signal) => fetchKeys(source, signal),
      pollSeconds: source.pollSeconds,
      log,
    }),
  );
  const check = {
    name: 'keys',
    reasonKey: 'reason',
    isLiveAnyway: () => keys.isStarting,
    check: async () => keys.requireFresh(),
  };
  const health = await openHealthEndpoint({ config: healthChecks, checks: [check], log });
  if (health !== undefined) stack.use(health);
  const server = stack.use(
    new PageServer({
      pages: documentPages(config, keys, clock),
      directions: `the documents are at ${pathPrefix}/.well-known/openid-configuration and ${pathPrefix}/keys`,
      log,
      logRequests,
      maxConnections: MAX_CONNECTIONS,
    }),
  );
  const listening: Listening = stack.use(
    await listenFor(config.listen, server, { log, clock, maxConnections: MAX_CONNECTIONS }),
  );
  const { port, place } = listening;
  log.info('the documents are served', { ...place, domains: config.domains.join(', '), path_prefix: pathPrefix });
  const running = stack.move();
  return { port, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
