import type { Logger } from '../log/logger.ts';
import type { Metrics } from './metrics.ts';

/** Writes every metric into the log, a record a name and its labels: inventory C152. */
export async function dumpMetrics(metrics: Metrics, log: Logger): Promise<void> {
  for (const { name, labels, series } of await metrics.read()) {
    const value = series.kind === 'histogram' ? series.sum : series.value;
    if (value === undefined) continue;
    const count = series.kind === 'histogram' ? { count: series.cumulativeCounts.at(-1) } : {};
    log.info('metric', { name, labels, kind: series.kind, value, ...count });
  }
}
