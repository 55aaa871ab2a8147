import { MetricsDefinition } from '../gen/spire/hostservice/common/metrics/v1/metrics.ts';
import type { Logger } from '../log/logger.ts';
import { type BoundService, bindService } from '../rpc/service.ts';

/** The host service `Metrics`: what plugins measure goes to the debug log. */
export function metricsService(log: Logger): BoundService {
  const note = (kind: string) => async (request: { key: readonly string[]; val?: number; time?: bigint }) => {
    log.debug('a plugin measured', { kind, key: request.key.join('.'), value: request.val ?? request.time });
    return {};
  };
  return bindService(MetricsDefinition, {
    setGauge: note('gauge'),
    emitKey: note('key'),
    incrCounter: note('counter'),
    addSample: note('sample'),
    measureSince: note('time'),
  });
}
