import type { ServerConfig } from '../config/server-config.ts';
import type { Logger } from '../log/logger.ts';
import { listenForSvids } from '../rpc/svid-listener.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { programMetrics } from '../telemetry/program-metrics.ts';
import { openPrometheus } from '../telemetry/prometheus.ts';
import type { BundleKeeper } from './bundle-keeper.ts';
import { toTlsIdentity } from './endpoints.ts';
import type { ServerIdentity } from './server-identity.ts';

export function serverMetrics({ telemetry, trustDomain }: ServerConfig, version: string): Metrics {
  return programMetrics({ config: telemetry, program: 'server', trustDomain, version });
}

export interface ServeMetricsOptions {
  readonly config: ServerConfig;
  readonly metrics: Metrics;
  readonly identity: ServerIdentity;
  readonly bundle: BundleKeeper;
  readonly log: Logger;
}

/** Opens the metrics endpoint where one is configured, with the server's own X.509-SVID where that is wanted. */
export async function serveMetrics({ config, metrics, identity, bundle, log }: ServeMetricsOptions) {
  const { prometheus } = config.telemetry;
  if (prometheus === undefined) return undefined;
  const own = {
    current: toTlsIdentity(identity.current),
    subscribe: (listener: (current: ReturnType<typeof toTlsIdentity>) => void) =>
      identity.subscribe((current) => listener(toTlsIdentity(current))),
  };
  return await openPrometheus({
    config: prometheus,
    metrics,
    log,
    listenWithSvids: async ({ host: address, port, files = own, authorizedIds, onConnection }) =>
      await listenForSvids({
        address,
        port,
        identity: files,
        authorizedIds,
        requirePqKem: config.experimental.requirePqKem,
        log,
        findBundle: (trustDomain) => (trustDomain === config.trustDomain ? bundle.current : undefined),
        onConnection,
      }),
  });
}
