import type { CountMatchesResponse } from '../../gen/assayer/server/explain/v1/explain.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import type { SigningRefusal, SyncFailure } from '../sync/sync-status.ts';
import type { AttestorOutcome } from '../workloads/attest-workload.ts';
import type { ComparedEntry } from './compare-entries.ts';
import type { RefusedCall } from './refused-calls.ts';

/** All that the agent knows of one workload and of itself, at one moment. */
export interface WorkloadFacts {
  readonly now: Date;
  readonly process: { readonly pid: number; readonly uid: number; readonly gid: number };
  /** The file that it runs; undefined where the agent may not know. */
  readonly path: string | undefined;
  readonly outcomes: readonly AttestorOutcome[];
  readonly selectors: readonly Selector[];
  /** What the workload was to get, as it was typed; undefined: whatever there is. */
  readonly wanted: string | undefined;
  readonly lastRefusal: RefusedCall | undefined;
  readonly agent: AgentFacts;
  /** Those that match first, then the nearest. */
  readonly entries: readonly EntryFacts[];
  readonly entriesLeftOut: number;
  /** What the server has for it; undefined where it was not asked, or did not say. */
  readonly counts: CountMatchesResponse | undefined;
  /** The server was not asked, since it is asked so often. */
  readonly isHeldBack: boolean;
}

export interface EntryFacts extends ComparedEntry {
  readonly entry: AuthorizedEntry;
  readonly svidExpiresAt: Date | undefined;
  readonly signingSince: Date | undefined;
  readonly refusal: SigningRefusal | undefined;
}

export interface AgentFacts {
  /** Undefined until it has attested. */
  readonly id: SpiffeId | undefined;
  /** What else a join token made it, such as `spiffe://example.org/node`. */
  readonly aliases: readonly SpiffeId[];
  readonly trustDomain: TrustDomain;
  readonly svidExpiresAt: Date | undefined;
  /** Undefined until the server, or the cache of the last run, has told. */
  readonly entryCount: number | undefined;
  readonly syncedAt: Date | undefined;
  readonly syncingSince: Date | undefined;
  readonly nextSyncAt: Date | undefined;
  readonly failure: SyncFailure | undefined;
  readonly mustReattest: string | undefined;
  /** Names of the workload attestors that are loaded. */
  readonly attestors: readonly string[];
}
