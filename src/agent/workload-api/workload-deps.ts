import type { Peer } from '../../rpc/peer.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import type { WorkloadJwtSvid } from '../workloads/jwt-svids.ts';
import type { WorkloadView } from '../workloads/workload-cache.ts';

/** What the calls of the Workload API are made of. */
export interface WorkloadDeps {
  readonly trustDomain: TrustDomain;
  /** Who calls. */
  attest(peer: Peer, signal: AbortSignal): Promise<readonly Selector[]>;
  /** What the caller gets, from now on. */
  watch(selectors: readonly Selector[], signal: AbortSignal): AsyncIterable<WorkloadView>;
  fetchJwtSvid(entry: AuthorizedEntry, audience: readonly string[]): Promise<WorkloadJwtSvid>;
  /** Whether bundles are for processes without an identity, too. Inventory C073. */
  readonly allowUnauthenticatedVerifiers: boolean;
  /** Claims of tokens of other trust domains that callers see beside the standard's. Inventory C074. */
  readonly allowedForeignJwtClaims: readonly string[];
  readonly clock: () => Date;
}
