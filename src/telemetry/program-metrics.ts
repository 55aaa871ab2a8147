import { hostname } from 'node:os';
import type { TelemetryConfig } from '../config/telemetry-config.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { toSpireLabel } from './label.ts';
import { MetricFilter } from './metric-filter.ts';
import { Metrics } from './metrics.ts';

export interface ProgramMetricsOptions {
  readonly config: TelemetryConfig;
  readonly program: 'server' | 'agent';
  readonly trustDomain: TrustDomain;
  /** Of the program. */
  readonly version: string;
}

/** The metrics of a server or an agent, with what every program has: inventory M060, M061, M092, M093, C153 to C159. */
export function programMetrics({ config, program, trustDomain, version }: ProgramMetricsOptions): Metrics {
  const metrics = new Metrics({
    prefix: config.metricPrefix ?? `spire_${program}`,
    labels: [
      ...(config.enableTrustDomainLabel ? [toSpireLabel({ name: 'trust_domain', value: trustDomain })] : []),
      ...(config.enableHostnameLabel ? [{ name: 'host', value: hostname() }] : []),
    ],
    filter: new MetricFilter(config),
  });
  const started = [
    { name: 'version', value: version },
    { name: 'trust_domain_id', value: trustDomain },
  ];
  metrics.gauge(['started'], started.map(toSpireLabel)).set(1);
  const startedAt = performance.now();
  const uptime = metrics.gauge(['uptime_in_ms']);
  const memory = metrics.gauge(['process', 'resident_memory_bytes']);
  const processorTime = metrics.counter(['process', 'cpu_seconds']);
  metrics.collect(() => {
    const { user, system } = process.cpuUsage(); // microseconds
    uptime.set(Math.round(performance.now() - startedAt));
    memory.set(process.memoryUsage.rss());
    processorTime.advanceTo((user + system) / 1_000_000);
  });
  return metrics;
}
