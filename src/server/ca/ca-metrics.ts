import { type CallEnded, observed } from '../../rpc/call-observer.ts';
import { callMeter } from '../../telemetry/call-metrics.ts';
import { toSpireLabel } from '../../telemetry/label.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { AuthorityRecord } from './authority-records.ts';

/** What the CA counts and times, by SPIRE's names: inventory M004 to M008, M052 to M054. */
export class CaMetrics {
  readonly x509: Measurements;
  readonly jwt: Measurements;
  readonly #prune: CallEnded;
  readonly #metrics: Metrics;

  constructor(metrics: Metrics, { trustDomain, clock }: { trustDomain: string; clock: () => Date }) {
    this.#metrics = metrics;
    this.#prune = callMeter(metrics, ['ca', 'manager', 'bundle', 'prune']);
    const x509 = callMeter(metrics, ['ca', 'manager', 'x509_ca', 'prepare']);
    const jwt = callMeter(metrics, ['ca', 'manager', 'jwt_key', 'prepare']);
    const labels = [toSpireLabel({ name: 'trust_domain_id', value: trustDomain })];
    this.x509 = {
      measurePreparation: (work) => observed(x509, work),
      onActivation: ({ notAfter }) => {
        metrics.counter(['ca', 'manager', 'x509_ca', 'activate']).add(1);
        metrics.gauge(['manager', 'x509_ca', 'rotate', 'expiration'], labels).set(notAfter);
        metrics.gauge(['manager', 'x509_ca', 'rotate', 'ttl'], labels).set(notAfter - clock().getTime() / 1000);
      },
    };
    this.jwt = {
      measurePreparation: (work) => observed(jwt, work),
      onActivation: () => metrics.counter(['manager', 'jwt_key', 'activate']).add(1),
    };
  }

  /** @param prune tells whether it changed anything. */
  async measurePruning(prune: () => Promise<boolean>): Promise<void> {
    if (await observed(this.#prune, prune)) this.#metrics.counter(['ca', 'manager', 'bundle', 'pruned']).add(1);
  }
}

export interface Measurements {
  measurePreparation<Result>(work: () => Promise<Result>): Promise<Result>;
  onActivation(record: AuthorityRecord): void;
}
