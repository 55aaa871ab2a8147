import type { FederationConfig } from '../../src/config/federation-config.ts';
import type { HealthChecksConfig } from '../../src/config/health-config.ts';
import type { TelemetryConfig } from '../../src/config/telemetry-config.ts';
import type { LogRecord } from '../../src/log/logger.ts';

interface Configured {
  readonly telemetry: TelemetryConfig;
  readonly healthChecks: HealthChecksConfig;
  readonly federation?: FederationConfig | undefined;
}

/** For metrics, health checks and the bundle endpoint: in a configuration file there is no port 0. */
export function withFreePorts<Config extends Configured>(config: Config): Config {
  const { prometheus } = config.telemetry;
  const endpoint = config.federation?.bundleEndpoint;
  return {
    ...config,
    ...(prometheus && { telemetry: { ...config.telemetry, prometheus: { ...prometheus, port: 0 } } }),
    ...(endpoint && { federation: { ...config.federation, bundleEndpoint: { ...endpoint, port: 0 } } }),
    healthChecks: { ...config.healthChecks, bindPort: 0 },
  };
}

/** What the system chose. */
export function metricsPortIn(records: readonly LogRecord[]): number {
  return portIn(records, 'metrics are served');
}

/** What the system chose. */
export function healthPortIn(records: readonly LogRecord[]): number {
  return portIn(records, 'health checks are served');
}

function portIn(records: readonly LogRecord[], wanted: string): number {
  const port = records.find(({ message }) => message === wanted)?.fields.port;
  if (typeof port !== 'number') throw new Error(`no ${wanted}`);
  return port;
}
