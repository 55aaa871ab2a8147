import { MetricsDefinition } from '../gen/spire/hostservice/common/metrics/v1/metrics.ts';
import type { Logger } from '../log/logger.ts';
import { type BoundService, bindService } from '../rpc/service.ts';
import type { GuestMetrics } from '../telemetry/guest-metrics.ts';

const NANOSECONDS_PER_MS = 1_000_000n;

/**
 * The host service `Metrics` of one plugin. Like SPIRE it never refuses; `EmitKey` has no counterpart in Prometheus.
 *
 * @param kept absent, what the plugin measures goes to the debug log alone.
 */
export function metricsService(log: Logger, kept?: GuestMetrics): BoundService {
  const note = (kind: string, { key, val }: { readonly key: readonly string[]; readonly val: number }) => {
    if (!log.isEnabled('debug')) return;
    log.debug('a plugin measured', { kind, key: key.join('.').slice(0, MAX_LOGGED_CHARACTERS), value: val });
  };
  return bindService(MetricsDefinition, {
    setGauge: async (request) => {
      note('gauge', request);
      kept?.set(request.key, request.val, request.labels);
      return {};
    },
    emitKey: async (request) => {
      note('key', request);
      return {};
    },
    incrCounter: async (request) => {
      note('counter', request);
      kept?.increment(request.key, request.val, request.labels);
      return {};
    },
    addSample: async (request) => {
      note('sample', request);
      kept?.observe(request.key, request.val, request.labels);
      return {};
    },
    measureSince: async ({ key, time, labels }) => {
      const val = Math.max(0, Date.now() - Number(time / NANOSECONDS_PER_MS));
      note('time', { key, val });
      kept?.observe(key, val, labels);
      return {};
    },
  });
}

/** Of a key that a plugin made up. */
const MAX_LOGGED_CHARACTERS = 200;
