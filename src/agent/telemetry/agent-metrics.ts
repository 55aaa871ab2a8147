import { type CallEnded, observed } from '../../rpc/call-observer.ts';
import type { Selector } from '../../spiffe/selector.ts';
import { callMeter } from '../../telemetry/call-metrics.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Counter, Histogram } from '../../telemetry/series.ts';
import { ConnectionMetrics } from './connection-metrics.ts';
import { SyncMetrics } from './sync-metrics.ts';

/** What an agent counts and times beside the calls that it answers, by SPIRE's names: inventory M066 to M098. */
export class AgentMetrics {
  readonly connections: ConnectionMetrics;
  readonly sync: SyncMetrics;
  readonly onRotated: CallEnded;
  readonly onAttested: CallEnded;
  readonly #metrics: Metrics;
  readonly #workloadAttested: CallEnded;
  // Found once, but not before there is something to tell: a series is there from then on.
  #discovered: Histogram | undefined;
  readonly #rateLimited = new Map<string, Counter>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.connections = new ConnectionMetrics(metrics);
    this.sync = new SyncMetrics(metrics);
    this.onRotated = callMeter(metrics, ['agent_svid', 'rotate']);
    this.onAttested = callMeter(metrics, ['node', 'attestor', 'new_svid']);
    this.#workloadAttested = callMeter(metrics, ['workload_api', 'workload_attestation']);
  }

  async attesting(attest: () => Promise<readonly Selector[]>): Promise<readonly Selector[]> {
    const selectors = await observed(this.#workloadAttested, attest);
    this.#discovered ??= this.#metrics.histogram(['workload_api', 'discovered_selectors']);
    this.#discovered.observe(selectors.length);
    return selectors;
  }

  /** @param method `/package.Service/Method` */
  readonly rateLimited = (method: string): void => {
    let counter = this.#rateLimited.get(method);
    if (counter === undefined) {
      const label = { name: 'method', value: method.slice(method.lastIndexOf('/') + 1) };
      counter = this.#metrics.counter(['workload_api', 'rate_limit_exceeded'], [label]);
      this.#rateLimited.set(method, counter);
    }
    counter.add(1);
  };

  readonly jwtBundlesSent = (): void => {
    this.#metrics.counter(['workload_api', 'bundles_update', 'jwt']).add(1);
  };

  readonly firstSvidsDelegated = (elapsedMs: number): void => {
    const key = ['delegated_identity_api', 'subscribe_x509_svid', 'first_x509_svid_update'];
    this.#metrics.histogram(key).observe(elapsedMs);
  };
}
