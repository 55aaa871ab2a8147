import type { Logger } from '../../log/logger.ts';
import { observed } from '../../rpc/call-observer.ts';
import { type Bundle, sameBundle } from '../../spiffe/bundle.ts';
import { isSpiffeError } from '../../spiffe/error.ts';
import { containsAllSelectors } from '../../spiffe/selector.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { hasLostX509Authority, lostJwtAuthorities } from '../../spiffe/trusted-svid.ts';
import { msUntil } from '../identity/steady-time.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import { fetchBundle, findFederatedBundle } from '../server-api/fetch-bundles.ts';
import { fetchNamedEntries } from '../server-api/named-entries.ts';
import type { ServerConnection } from '../server-api/server-connection.ts';
import { type Entries, fetchEntries } from '../server-api/sync-entries.ts';
import type { SyncMetrics } from '../telemetry/sync-metrics.ts';
import type { TrustBundle } from '../trust-bundle.ts';
import { entryDifference } from '../workloads/entry-difference.ts';
import type { JwtSvids } from '../workloads/jwt-svids.ts';
import { isSameMap } from '../workloads/map-difference.ts';
import { planSvids, withDistrusted } from '../workloads/svid-plan.ts';
import { type CacheContent, NO_CONTENT, type WorkloadCache } from '../workloads/workload-cache.ts';
import { type IssueOptions, issueX509Svids, type WorkloadX509Svid } from '../workloads/workload-x509-svid.ts';
import type { SyncStatus } from './sync-status.ts';

export interface SynchronizerOptions {
  readonly trustDomain: TrustDomain;
  readonly connection: ServerConnection;
  readonly trust: TrustBundle;
  readonly cache: WorkloadCache;
  /** What the last run had, to go on from; workloads get it once {@link Synchronizer.useRestored} says so. */
  readonly restored: CacheContent | undefined;
  readonly jwtSvids: JwtSvids;
  readonly issue: Pick<IssueOptions, 'keyType' | 'availabilityTargetSeconds'>;
  readonly x509SvidCacheMaxSize: number;
  /** Names of the SVID stores that there are. */
  readonly svidStores: ReadonlySet<string>;
  readonly useSyncAuthorizedEntries: boolean;
  readonly status: SyncStatus;
  readonly metrics: SyncMetrics;
  readonly log: Logger;
  readonly clock: () => Date;
}

export interface SyncResult {
  /** Whether workloads may have got something new. */
  readonly hasChanged: boolean;
}

/** Brings the workload cache up to what the server says. Inventory B005. */
export class Synchronizer {
  readonly #options: SynchronizerOptions;
  #lastSyncAt: Date | undefined;
  #isWhole = false;
  /** What the X.509-SVIDs in the cache were last verified by; undefined: those of the last run were not yet. */
  #verifiedBy: Bundle | undefined;
  /** What the JWT-SVIDs that are kept were last looked at by. */
  #jwtVerifiedBy: Bundle;

  constructor(options: SynchronizerOptions) {
    this.#options = options;
    this.#jwtVerifiedBy = options.trust.current;
  }

  /** Serves workloads what the last run had, if nothing newer has come. */
  useRestored(): void {
    const { cache, restored, log } = this.#options;
    if (cache.content !== undefined || restored === undefined) return;
    log.warning('serving workloads from the cache of the last run', { entries: restored.entries.size });
    cache.replace(restored);
  }

  /**
   * Fetches bundles and entries, and an X.509-SVID where one is due. What the server says of entries and bundles counts
   * even where SVIDs could not be had.
   *
   * @param named ids of the only entries that have changed since the last sync, by the server's word; bundles have not
   */
  async sync(signal: AbortSignal, named?: ReadonlySet<string>): Promise<SyncResult> {
    const { connection, trustDomain, trust, cache, restored, status, metrics, clock } = this.#options;
    const before = cache.content ?? restored ?? NO_CONTENT;
    if (named === undefined) await this.#trust(await fetchBundle(connection, trustDomain, signal));
    const verifiedBy = trust.current;
    const mustVerify = this.#verifiedBy === undefined || hasLostX509Authority(this.#verifiedBy, verifiedBy);
    const entries = await observed(metrics.entriesFetched, () => this.#fetchEntries(before.entries, named, signal));
    metrics.entriesChanged(before.entries, entries);
    const knownBundles = named === undefined ? NO_CONTENT.bundles : before.bundles;
    const bundles = await this.#fetchBundles(entries, before.bundles, knownBundles, signal);
    const { kept, wanted } = planSvids({
      entries,
      svids: mustVerify ? this.#verify(before, verifiedBy) : before.svids,
      watched: cache.watchedEntryIds(),
      lastUsed: cache.lastUsed,
      maxSize: this.#options.x509SvidCacheMaxSize,
      stores: this.#options.svidStores,
      now: clock(),
    });
    const tookBack = wanted.length > 0 && this.#publishWhatIsTakenBack({ entries, svids: kept, bundles });
    status.keepOnly(entries);
    status.signs(wanted);
    metrics.svidsWanted(wanted, kept, clock());
    const [issuing] = await Promise.allSettled([this.#issue(wanted, signal)]);
    status.signed();
    const issued = issuing.status === 'fulfilled' ? issuing.value : [];
    const hasChanged = this.#publish({ entries, svids: withIssued(kept, issued), bundles }, true) || tookBack;
    this.#verifiedBy = verifiedBy;
    if (issuing.status === 'rejected') throw issuing.reason;
    this.#lastSyncAt = clock();
    return { hasChanged };
  }

  /** Nothing is asked for where nothing is wanted. */
  async #issue(wanted: readonly AuthorizedEntry[], signal: AbortSignal): Promise<readonly WorkloadX509Svid[]> {
    if (wanted.length === 0) return [];
    const { connection, status, metrics, issue, clock, log } = this.#options;
    const onRefused = (id: string, reason: string) => status.refused(id, reason);
    const options = { ...issue, connection, log, clock, onRefused };
    return await observed(metrics.svidsFetched, () => issueX509Svids(wanted, options, signal));
  }

  #verify({ entries, svids }: CacheContent, bundle: Bundle): CacheContent['svids'] {
    const startedAt = performance.now();
    const verified = withDistrusted(svids, bundle, this.#options.clock());
    const isDistrusted = (id: string) => verified.get(id) !== svids.get(id);
    if (this.#verifiedBy !== undefined) {
      this.#options.metrics.x509SvidsVerified(entries, isDistrusted, performance.now() - startedAt);
    }
    return verified;
  }

  /** When all that is due could be had last; undefined before. */
  get lastSyncAt(): Date | undefined {
    return this.#lastSyncAt;
  }

  /** Whether the cache has all entries that the server named last, in this run. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** How long until the next X.509-SVID is due, in milliseconds; those that are overdue wait for the next sync. */
  untilNextRotationMs(): number | undefined {
    const now = this.#options.clock();
    const svids = [...(this.#options.cache.content?.svids.values() ?? [])];
    const leftMs = svids.map(({ rotateAt, steadyOffsetMs }) => msUntil(rotateAt, steadyOffsetMs, now));
    const nextMs = Math.min(...leftMs.filter((ms) => ms > 0));
    return Number.isFinite(nextMs) ? nextMs : undefined;
  }

  async #trust(bundle: Bundle): Promise<void> {
    const { trust, jwtSvids, metrics, log } = this.#options;
    if (await trust.replace(bundle)) {
      log.info('trust bundle updated', { sequence: bundle.sequenceNumber, x509: bundle.x509Authorities.length });
    }
    const lost = lostJwtAuthorities(this.#jwtVerifiedBy, trust.current);
    if (lost.size > 0) {
      const startedAt = performance.now();
      const forgotten = jwtSvids.distrust(lost);
      metrics.jwtSvidsVerified(forgotten, performance.now() - startedAt);
    }
    this.#jwtVerifiedBy = trust.current;
  }

  /** The very map that is known, where nothing changed. */
  async #fetchEntries(known: Entries, named: ReadonlySet<string> | undefined, signal: AbortSignal): Promise<Entries> {
    const { connection, useSyncAuthorizedEntries: sparse } = this.#options;
    if (named?.size === 0) return known;
    const entries =
      named === undefined
        ? await fetchEntries({ connection, known, sparse, signal })
        : await fetchNamedEntries({ connection, known, ids: named, signal });
    return isSameMap(entries, known) ? known : entries;
  }

  /** @param current those that need not be asked for */
  async #fetchBundles(
    entries: Entries,
    known: ReadonlyMap<TrustDomain, Bundle>,
    current: ReadonlyMap<TrustDomain, Bundle>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<TrustDomain, Bundle>> {
    const { trustDomain, trust } = this.#options;
    const names = new Set<TrustDomain>();
    for (const { federatesWith } of entries.values()) for (const name of federatesWith) names.add(name);
    names.delete(trustDomain);
    const federated = await Promise.all(
      [...names].map(async (name) => {
        const bundle = current.get(name) ?? (await this.#findFederatedBundle(name, known.get(name), signal));
        return [name, bundle] as const;
      }),
    );
    const fetched = [[trustDomain, trust.current] as const, ...federated];
    return new Map(
      fetched.flatMap(([name, bundle]) =>
        bundle === undefined ? [] : [[name, unchangedOr(known.get(name), bundle)] as const],
      ),
    );
  }

  /** One that cannot be used leaves what there was. */
  async #findFederatedBundle(
    name: TrustDomain,
    known: Bundle | undefined,
    signal: AbortSignal,
  ): Promise<Bundle | undefined> {
    const { connection, log } = this.#options;
    try {
      const bundle = await findFederatedBundle(connection, name, signal);
      if (bundle === undefined) {
        log.warning('the server has no bundle of a federated trust domain', { trust_domain: name });
      }
      return bundle;
    } catch (error) {
      if (!isSpiffeError(error, 'BUNDLE_INVALID')) throw error;
      log.warning('a federated bundle is not used', { trust_domain: name, reason: error.message });
      return known;
    }
  }

  /** Nobody keeps an identity for as long as it takes to sign those of others: new entries follow with their SVIDs. */
  #publishWhatIsTakenBack({ entries, svids, bundles }: CacheContent): boolean {
    const before = this.#options.cache.content?.entries ?? NO_CONTENT.entries;
    const { added, changed, removed } = entryDifference(before, entries);
    const asksForMore = changed.some((one) => !containsAllSelectors(one.before.selectors, one.after.selectors));
    if (removed.length === 0 && !asksForMore) return false;
    const kept = added.length === 0 ? entries : new Map([...entries].filter(([id]) => before.has(id)));
    return this.#publish({ entries: kept, svids, bundles }, false);
  }

  #publish(content: CacheContent, isWhole: boolean): boolean {
    const { cache, log } = this.#options;
    const before = cache.content;
    const hasChanged =
      before === undefined ||
      content.entries !== before.entries ||
      !isSameMap(content.svids, before.svids) ||
      !isSameMap(content.bundles, before.bundles);
    const wasWhole = this.#isWhole;
    this.#isWhole = isWhole;
    if (hasChanged || !wasWhole) {
      cache.replace(content);
      log.debug('workload cache updated', { entries: content.entries.size, svids: content.svids.size });
    }
    return hasChanged;
  }
}

function withIssued(
  kept: ReadonlyMap<string, WorkloadX509Svid>,
  issued: readonly WorkloadX509Svid[],
): ReadonlyMap<string, WorkloadX509Svid> {
  if (issued.length === 0) return kept;
  return new Map([...kept, ...issued.map((svid) => [svid.entryId, svid] as const)]);
}

function unchangedOr(known: Bundle | undefined, bundle: Bundle): Bundle {
  const isSame = known !== undefined && known.sequenceNumber === bundle.sequenceNumber && sameBundle(known, bundle);
  return isSame ? known : bundle;
}
