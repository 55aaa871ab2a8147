import type { CallContext, Interceptor } from '../../rpc/call.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Counter, Gauge } from '../../telemetry/series.ts';

/** SPIRE's name of an API's calls, by its service. */
const APIS: ReadonlyMap<string, string> = new Map([
  ['SpiffeWorkloadAPI', 'workload_api'],
  ['envoy.service.secret.v3.SecretDiscoveryService', 'sds_api'],
  ['spire.agent.debug.v1.Debug', 'debug_api'],
  ['spire.api.agent.delegatedidentity.v1.DelegatedIdentity', 'delegated_identity_api'],
]);

interface Calls {
  readonly begun: Counter;
  readonly open: Gauge;
  count: number;
}

/**
 * Counts calls that begin, and those that are open, which SPIRE calls connections. Inventory M081, M082, M086, M087, M094 to
 * M097; the counter `sds_api.connections` is `sds_api.connection`, as a name has one kind.
 */
export class ConnectionMetrics implements Interceptor {
  readonly #calls: ReadonlyMap<string, Calls>;
  /** Calls that were counted: one that was refused before ends, too. */
  readonly #open = new WeakSet<CallContext>();

  constructor(metrics: Metrics) {
    this.#calls = new Map(
      [...APIS].map(([service, api]) => {
        const begun = metrics.counter([api, 'connection']);
        const open = metrics.gauge([api, 'connections']);
        open.set(0);
        return [service, { begun, open, count: 0 }];
      }),
    );
  }

  before(context: CallContext): void {
    this.#open.add(context);
    this.#change(context, 1)?.begun.add(1);
  }

  after(context: CallContext): void {
    if (this.#open.delete(context)) this.#change(context, -1);
  }

  #change({ method }: CallContext, difference: 1 | -1): Calls | undefined {
    const calls = this.#calls.get(method.slice(1, method.lastIndexOf('/')));
    if (calls === undefined) return undefined;
    calls.count += difference;
    calls.open.set(calls.count);
    return calls;
  }
}
