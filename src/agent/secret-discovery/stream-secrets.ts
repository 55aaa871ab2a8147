import type { DiscoveryRequest, DiscoveryResponse } from '../../gen/envoy/service/discovery/v3/discovery.ts';
import type { CallContext } from '../../rpc/call.ts';
import { TokenBucket } from '../../rpc/token-bucket.ts';
import { noIdentity, viewsOf } from '../workload-api/workload-views.ts';
import { eitherOf } from './either-of.ts';
import type { SecretDiscoveryDeps } from './secret-discovery-deps.ts';
import { SecretSubscription } from './secret-subscription.ts';

/** A proxy has one for every response and every secret that it comes to want; one that has more to say waits. */
const MAX_REQUESTS_PER_SECOND = 100;
const MAX_WAIT_MS = 1_000;

/**
 * `StreamSecrets`: what the caller names, and again whenever that changes. A name that nothing is given for is left out,
 * and given as soon as the caller is entitled to it.
 *
 * @throws SpiffeError `NO_IDENTITY` for a caller without an identity, at any time: that is how a proxy hears of an
 *   entry that is deleted. `UNAUTHENTICATED` where the process is another by now. `UNAVAILABLE` where it asks
 *   for what the server is needed to sign, which fails.
 */
export const streamSecrets = (deps: SecretDiscoveryDeps) =>
  async function* (
    requests: AsyncIterable<DiscoveryRequest>,
    { peer, method, signal }: CallContext,
  ): AsyncGenerator<DiscoveryResponse> {
    const { sds, log } = deps;
    const left = new AbortController();
    const views = viewsOf({ peer, method, signal: AbortSignal.any([signal, left.signal]) }, deps);
    const asked = requests[Symbol.asyncIterator]();
    const subscription = new SecretSubscription({ sds, log, pid: peer.kind === 'unix' ? peer.pid : 0 });
    const requestLimit = new TokenBucket(MAX_REQUESTS_PER_SECOND);
    try {
      for await (const event of eitherOf(asked, views)) {
        if ('first' in event) {
          await requestLimit.take(1, { maxWaitMs: MAX_WAIT_MS, signal });
          if (!subscription.take(event.first)) continue;
        } else {
          if (event.second.entries.length === 0) throw noIdentity();
          subscription.show(event.second);
        }
        const response = subscription.next();
        if (response === undefined) {
          if (subscription.hindrance !== undefined) throw subscription.hindrance;
          continue;
        }
        deps.requireSame(peer); // a request may come long after its view was given
        yield response;
      }
    } finally {
      left.abort();
      await asked.return?.();
      await views.return(undefined);
    }
  };
