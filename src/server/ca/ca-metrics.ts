import { isSpiffeError } from '../../spiffe/error.ts';
import { Status } from '../../spiffe/status.ts';
import { type CallMeter, callMeter } from '../../telemetry/call-metrics.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { AuthorityRecord } from './authority-records.ts';

/** What the CA counts and times, by SPIRE's names: inventory M004 to M008, M052 to M054. */
export class CaMetrics {
  readonly x509: Measurements;
  readonly jwt: Measurements;
  readonly #prune: CallMeter;
  readonly #metrics: Metrics;

  constructor(metrics: Metrics, { trustDomain, clock }: { trustDomain: string; clock: () => Date }) {
    this.#metrics = metrics;
    this.#prune = callMeter(metrics, ['ca', 'manager', 'bundle', 'prune']);
    const x509 = callMeter(metrics, ['ca', 'manager', 'x509_ca', 'prepare']);
    const jwt = callMeter(metrics, ['ca', 'manager', 'jwt_key', 'prepare']);
    const labels = [{ name: 'trust_domain_id', value: trustDomain }];
    this.x509 = {
      measurePreparation: (work) => measured(x509, work),
      onActivation: ({ notAfter }) => {
        metrics.counter(['ca', 'manager', 'x509_ca', 'activate']).add(1);
        metrics.gauge(['manager', 'x509_ca', 'rotate', 'expiration'], labels).set(notAfter);
        metrics.gauge(['manager', 'x509_ca', 'rotate', 'ttl'], labels).set(notAfter - clock().getTime() / 1000);
      },
    };
    this.jwt = {
      measurePreparation: (work) => measured(jwt, work),
      onActivation: () => metrics.counter(['manager', 'jwt_key', 'activate']).add(1),
    };
  }

  /** @param prune tells whether it changed anything. */
  async measurePruning(prune: () => Promise<boolean>): Promise<void> {
    if (await measured(this.#prune, prune)) this.#metrics.counter(['ca', 'manager', 'bundle', 'pruned']).add(1);
  }
}

export interface Measurements {
  measurePreparation<Result>(work: () => Promise<Result>): Promise<Result>;
  onActivation(record: AuthorityRecord): void;
}

async function measured<Result>(meter: CallMeter, work: () => Promise<Result>): Promise<Result> {
  const startedAtMs = performance.now();
  const end = (status: Status) => meter(status, performance.now() - startedAtMs);
  try {
    const result = await work();
    end(Status.Ok);
    return result;
  } catch (error) {
    end(isSpiffeError(error) ? error.status : Status.Unknown);
    throw error;
  }
}
