import type { TelemetryConfig } from '../../src/config/telemetry-config.ts';
import type { LogRecord } from '../../src/log/logger.ts';

/** In a configuration file there is no port 0. */
export function withFreeMetricsPort<Config extends { readonly telemetry: TelemetryConfig }>(config: Config): Config {
  const { prometheus } = config.telemetry;
  if (prometheus === undefined) return config;
  return { ...config, telemetry: { ...config.telemetry, prometheus: { ...prometheus, port: 0 } } };
}

/** What the system chose. */
export function metricsPortIn(records: readonly LogRecord[]): number {
  const port = records.find(({ message }) => message === 'metrics are served')?.fields.port;
  if (typeof port !== 'number') throw new Error('no metrics are served');
  return port;
}
