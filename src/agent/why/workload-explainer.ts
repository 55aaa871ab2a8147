import { readlink } from 'node:fs/promises';
import type { WorkloadAttestor } from '../../plugin-host/kinds/workload-attestor.ts';
import type { UnixPeer } from '../../rpc/peer.ts';
import { RemoteError } from '../../rpc/status.ts';
import { isSpiffeError } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import { Status } from '../../spiffe/status.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { NodeIdentity } from '../identity/node-identity.ts';
import type { ServerConnection } from '../server-api/server-connection.ts';
import type { SyncFailure, SyncStatus } from '../sync/sync-status.ts';
import { type AttestorOutcome, askAttestors, requireSame } from '../workloads/attest-workload.ts';
import type { WorkloadCache } from '../workloads/workload-cache.ts';
import { aliasesOf, compareEntries } from './compare-entries.ts';
import { type CountedMatches, MatchCounter } from './match-counter.ts';
import type { RefusedCalls } from './refused-calls.ts';
import type { AgentFacts, EntryFacts, WorkloadFacts } from './workload-facts.ts';

export interface WorkloadExplainerOptions {
  readonly trustDomain: TrustDomain;
  readonly attestors: readonly WorkloadAttestor[];
  readonly cache: Pick<WorkloadCache, 'content'>;
  readonly status: SyncStatus;
  readonly connection: Pick<ServerConnection, 'run'>;
  readonly refused: RefusedCalls;
  readonly clock: () => Date;
}

/** What only an agent that has attested has. */
interface Attested {
  readonly identity: Pick<NodeIdentity, 'svid'>;
  /** The server has something that we do not know. */
  readonly syncNow: () => void;
}

const MAX_ENTRIES = 25;
/** People wait for it, and the server may be away. */
const COUNT_DEADLINE_MS = 3_000;
/** Anybody may ask, so the server is asked for news no more often. */
const SYNC_AGAIN_MS = 5_000;
/** So many selectors are asked about, as the server allows. */
const MAX_SELECTORS = 1_000;

/** Collects what there is to say about one workload. */
export class WorkloadExplainer {
  readonly #options: WorkloadExplainerOptions;
  readonly #counter = new MatchCounter((selectors) => this.#ask(selectors));
  #attested: Attested | undefined;
  #syncedAt = Number.NEGATIVE_INFINITY;

  constructor(options: WorkloadExplainerOptions) {
    this.#options = options;
  }

  /** Goes on with what there is once the agent has attested. */
  follow(attested: Attested): void {
    this.#attested = attested;
  }

  /**
   * Has the process attested for it.
   *
   * @throws SpiffeError `UNAUTHENTICATED` where the process ended meanwhile or became another
   */
  async explain(
    peer: UnixPeer,
    {
      wanted,
      isAdministrator,
      signal,
    }: { readonly wanted: string | undefined; readonly isAdministrator: boolean; readonly signal: AbortSignal },
  ): Promise<WorkloadFacts> {
    requireSame(peer);
    const outcomes = await askAttestors(peer.pid, signal, this.#options.attestors);
    const path = await readlink(`/proc/${peer.pid}/exe`).catch(() => undefined);
    requireSame(peer);
    return await this.explainOutcomes(peer, outcomes, { wanted, path, isAdministrator });
  }

  /** The same by what its attestation found: the process may have ended. */
  async explainOutcomes(
    peer: UnixPeer,
    outcomes: readonly AttestorOutcome[],
    {
      wanted,
      path,
      isAdministrator,
    }: {
      readonly wanted: string | undefined;
      readonly path: string | undefined;
      /** For whom the server is asked at once. */
      readonly isAdministrator: boolean;
    },
  ): Promise<WorkloadFacts> {
    const { cache, status, clock, refused } = this.#options;
    const { pid, uid, gid } = peer;
    const now = clock();
    const selectors = outcomes.flatMap((outcome) => outcome.selectors);
    const known = new Map([
      ...[...status.signing].map((entry) => [entry.id, entry] as const),
      ...(cache.content?.entries ?? []),
    ]);
    const compared = compareEntries(known.values(), selectors, Math.floor(now.getTime() / 1000));
    const entries = compared.slice(0, MAX_ENTRIES).map((one) => ({ ...one, ...this.#svidOf(one.entry.id) }));
    const isServed = compared.some(({ matches }) => matches);
    const { counts, failure, isHeldBack = false } = isServed ? {} : await this.#count(selectors, isAdministrator);
    if (counts !== undefined && counts.notSynced > 0) this.#syncNow();
    return {
      now,
      process: { pid, uid, gid },
      path,
      outcomes,
      selectors,
      wanted,
      lastRefusal: refused.find(peer),
      agent: this.#agent(failure),
      entries,
      entriesLeftOut: compared.length - entries.length,
      counts,
      isHeldBack,
    };
  }

  #syncNow(): void {
    const now = performance.now();
    if (now - this.#syncedAt < SYNC_AGAIN_MS) return;
    this.#syncedAt = now;
    this.#attested?.syncNow();
  }

  /** @param failure of a call that was made after the last sync */
  #agent(failure: SyncFailure | undefined): AgentFacts {
    const { trustDomain, cache, status, attestors } = this.#options;
    const svid = this.#attested?.identity.svid;
    return {
      id: svid?.spiffeId,
      aliases: svid === undefined ? [] : aliasesOf(svid.spiffeId, cache.content?.entries.values() ?? []),
      trustDomain,
      svidExpiresAt: svid?.expiresAt,
      entryCount: cache.content?.entries.size,
      syncedAt: status.syncedAt,
      syncingSince: status.syncingSince,
      nextSyncAt: status.nextAt,
      failure: status.failure ?? failure,
      mustReattest: status.mustReattest,
      attestors: attestors.map(({ name }) => name),
    };
  }

  #svidOf(entryId: string): Pick<EntryFacts, 'svidExpiresAt' | 'signingSince' | 'refusal'> {
    const { cache, status } = this.#options;
    return {
      svidExpiresAt: cache.content?.svids.get(entryId)?.expiresAt,
      signingSince: status.signingSince(entryId),
      refusal: status.refusalOf(entryId),
    };
  }

  /** Nothing where the server is known to be away, or is SPIRE's. */
  async #count(selectors: readonly Selector[], isAdministrator: boolean): Promise<CountedMatches> {
    const { status, attestors } = this.#options;
    const isAway = this.#attested === undefined || status.failure?.isUnreachable === true;
    if (isAway || attestors.length === 0) return {};
    return await (isAdministrator ? this.#ask(selectors) : this.#counter.count(selectors));
  }

  /** Several callers may wait for it: none of them cancels it. */
  async #ask(selectors: readonly Selector[]): Promise<CountedMatches> {
    const { connection, clock } = this.#options;
    const asked = { selectors: selectors.slice(0, MAX_SELECTORS).map(({ type, value }) => ({ type, value })) };
    try {
      const counts = await connection.run(({ explain }) =>
        explain.countMatches(asked, { deadlineMs: COUNT_DEADLINE_MS }),
      );
      return { counts };
    } catch (error) {
      if (error instanceof RemoteError && error.status === Status.ResourceExhausted) return { isHeldBack: true };
      if (!isSpiffeError(error, 'SERVER_UNREACHABLE')) return {}; // what else is wrong, the next sync says
      const at = clock();
      return { failure: { at, since: at, reason: error.message, isUnreachable: true } };
    }
  }
}
