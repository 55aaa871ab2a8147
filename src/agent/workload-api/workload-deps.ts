import type { Peer } from '../../rpc/peer.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import type { FollowDeps } from '../workloads/follow-workload.ts';
import type { WorkloadJwtSvid } from '../workloads/jwt-svids.ts';

/** Who calls, whatever the API. */
export interface Callers extends FollowDeps {
  /** Counts a call (`/package.Service/Method`) of a workload. @throws SpiffeError `RATE_LIMITED` */
  spend(method: string, selectors: readonly Selector[], peer: Peer): void;
}

/** What the calls of the Workload API are made of. */
export interface WorkloadDeps extends Callers {
  readonly trustDomain: TrustDomain;
  fetchJwtSvid(entry: AuthorizedEntry, audience: readonly string[]): Promise<WorkloadJwtSvid>;
  /** Whether bundles are for processes without an identity, too. Inventory C073. */
  readonly allowUnauthenticatedVerifiers: boolean;
  /** Claims of tokens of other trust domains that callers see beside the standard's. Inventory C074. */
  readonly allowedForeignJwtClaims: readonly string[];
  /** Told of every answer with JWT bundles. */
  readonly onJwtBundles: () => void;
  readonly clock: () => Date;
}
