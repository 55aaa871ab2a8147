import type { AgentConfig } from '../config/agent-config.ts';
import type { Logger } from '../log/logger.ts';
import { listenForSvids } from '../rpc/svid-listener.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { openPrometheus } from '../telemetry/prometheus.ts';
import { type NodeIdentity, ownIdentity } from './identity/node-identity.ts';
import type { TrustBundle } from './trust-bundle.ts';

export interface ServeMetricsOptions {
  readonly config: AgentConfig;
  readonly metrics: Metrics;
  readonly identity: NodeIdentity;
  readonly trust: TrustBundle;
  readonly log: Logger;
}

/** Opens the metrics endpoint where one is configured, with the agent's own X.509-SVID where that is wanted. */
export async function serveMetrics({ config, metrics, identity, trust, log }: ServeMetricsOptions) {
  const { prometheus } = config.telemetry;
  if (prometheus === undefined) return undefined;
  const own = ownIdentity(identity);
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
        findBundle: (trustDomain) => (trustDomain === config.trustDomain ? trust.current : undefined),
        onConnection,
      }),
  });
}
