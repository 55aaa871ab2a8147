import type { Logger } from '../../log/logger.ts';
import type { Peer } from '../../rpc/peer.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import type { WorkloadJwtSvid } from '../workloads/jwt-svids.ts';
import type { WorkloadCache } from '../workloads/workload-cache.ts';

/** What the calls of the Delegated Identity API are made of. */
export interface DelegationDeps {
  /** Whoever has one of these identities may speak for others. */
  readonly authorizedIds: readonly SpiffeId[];
  /** What a process is: who calls, or whom it speaks for. */
  attest(process: Peer, signal: AbortSignal): Promise<readonly Selector[]>;
  /** How often both are attested again while a stream lasts; 0: never. */
  readonly reattestSeconds: number;
  readonly cache: Pick<WorkloadCache, 'watch' | 'watchBundles' | 'entriesOf' | 'changes'>;
  fetchJwtSvid(entry: AuthorizedEntry, audience: readonly string[]): Promise<WorkloadJwtSvid>;
  /** Told how long the first answer of a subscription to SVIDs took. */
  readonly onFirstSvids: (elapsedMs: number) => void;
  readonly log: Logger;
}
