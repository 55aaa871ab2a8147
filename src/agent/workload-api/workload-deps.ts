import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import type { FollowDeps } from '../workloads/follow-workload.ts';
import type { WorkloadJwtSvid } from '../workloads/jwt-svids.ts';

/** What the calls of the Workload API are made of. */
export interface WorkloadDeps extends FollowDeps {
  readonly trustDomain: TrustDomain;
  fetchJwtSvid(entry: AuthorizedEntry, audience: readonly string[]): Promise<WorkloadJwtSvid>;
  /** Whether bundles are for processes without an identity, too. Inventory C073. */
  readonly allowUnauthenticatedVerifiers: boolean;
  /** Claims of tokens of other trust domains that callers see beside the standard's. Inventory C074. */
  readonly allowedForeignJwtClaims: readonly string[];
  readonly clock: () => Date;
}
