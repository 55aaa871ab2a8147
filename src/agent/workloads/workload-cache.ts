import { type Bundle, emptyBundle } from '../../spiffe/bundle.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { isPast, msUntil } from '../identity/steady-time.ts';
import { type AuthorizedEntry, isCurrent } from '../server-api/authorized-entry.ts';
import { ChangeSignal } from './change-signal.ts';
import { EntryIndex } from './entry-index.ts';
import { inIdentityOrder } from './identity-order.ts';
import { ViewCache } from './view-cache.ts';
import type { WorkloadX509Svid } from './workload-x509-svid.ts';

/** All that the agent has for its workloads. A value: what changes is replaced. */
export interface CacheContent {
  readonly entries: ReadonlyMap<string, AuthorizedEntry>;
  /** By entry id. */
  readonly svids: ReadonlyMap<string, WorkloadX509Svid>;
  /** The agent's own trust domain's, and those of federated ones that are known. */
  readonly bundles: ReadonlyMap<TrustDomain, Bundle>;
}

export const NO_CONTENT: CacheContent = { entries: new Map(), svids: new Map(), bundles: new Map() };

/** What one workload gets of it. */
export interface WorkloadView {
  /** In order: the first is the default identity. */
  readonly entries: readonly AuthorizedEntry[];
  /** SVIDs that are valid at this time, in the order of the entries; those that are not there yet are left out. */
  readonly identities: readonly { readonly entry: AuthorizedEntry; readonly svid: WorkloadX509Svid }[];
  readonly bundle: Bundle;
  /** Of the trust domains that its entries federate with. */
  readonly federatedBundles: readonly Bundle[];
  /** Why none of its entries has an SVID and none will soon. Not where it was given one before that it may keep. */
  readonly hindrance?: Error;
}

export interface WorkloadCacheOptions {
  readonly trustDomain: TrustDomain;
  readonly clock: () => Date;
  /** Why SVIDs of these entries, or where there are none yet the entries themselves, do not come for the time being. */
  readonly findHindrance?: (entries: readonly AuthorizedEntry[] | undefined) => Error | undefined;
}

interface Watcher {
  readonly selectors: readonly Selector[];
  /** It has nothing of what it is entitled to. */
  waits: boolean;
}

/** What workloads are served from, and told about when it changes. Whoever asks before it is filled waits. */
export class WorkloadCache {
  readonly #options: WorkloadCacheOptions;
  readonly #changes = new ChangeSignal();
  readonly #views = new ViewCache();
  readonly #watchers = new Set<Watcher>();
  readonly #lastUsed = new Map<string, number>();
  #uses = 0;
  #content: CacheContent | undefined;
  readonly #index = new EntryIndex();
  #onMissing: () => void = () => {};

  constructor(options: WorkloadCacheOptions) {
    this.#options = options;
  }

  /** Undefined until it is filled for the first time. */
  get content(): CacheContent | undefined {
    return this.#content;
  }

  replace(content: CacheContent): void {
    if (content.entries !== this.#content?.entries) {
      this.#index.replace(content.entries);
      for (const id of this.#lastUsed.keys()) if (!content.entries.has(id)) this.#lastUsed.delete(id);
    }
    this.#content = content;
    this.#changes.notify();
  }

  /** Calls `listener` when somebody is entitled to an SVID that is not there. */
  onMissing(listener: () => void): void {
    this.#onMissing = listener;
  }

  /** What hinders whoever waits may have changed. */
  tellWaiting(): void {
    const isAwaited = this.#content === undefined || [...this.#watchers].some(({ waits }) => waits);
    if (isAwaited) this.#changes.notify();
  }

  /** Ids of the entries that somebody who is connected is entitled to. */
  watchedEntryIds(): ReadonlySet<string> {
    const lists = new Set([...this.#watchers].map(({ selectors }) => selectors));
    return new Set([...lists].flatMap((selectors) => this.#index.match(selectors).map(({ id }) => id)));
  }

  /** Of entries that somebody was connected for who is no more, by id: the higher the number, the later. */
  get lastUsed(): ReadonlyMap<string, number> {
    return this.#lastUsed;
  }

  /**
   * What a workload with these selectors gets: at once, and again whenever that changes, until aborted; without an SVID
   * also while that is hindered.
   *
   * @param isGiven of the entries that match, those that this one is given; all by default.
   * @throws what hinders the cache from being filled
   */
  async *watch(
    selectors: readonly Selector[],
    signal: AbortSignal,
    isGiven?: (entry: AuthorizedEntry) => boolean,
  ): AsyncGenerator<WorkloadView> {
    const watcher: Watcher = { selectors, waits: true };
    this.#watchers.add(watcher);
    try {
      let last: WorkloadView | undefined;
      let given: WorkloadView | undefined;
      let seen: number | undefined;
      while (!signal.aborted) {
        // As `follow`, which would take its own memory for every stream.
        if (seen === this.#changes.version) {
          await this.#changes.next(signal);
          continue;
        }
        seen = this.#changes.version;
        const view = this.#view(selectors, isGiven);
        if (view === undefined) {
          this.#requireHope();
          continue;
        }
        if (view.identities.length < view.entries.length) this.#onMissing();
        if (view.identities.length > 0) given = view;
        watcher.waits = view.entries.length > 0 && !mayKeep(given, view);
        const hindrance = watcher.waits ? this.#options.findHindrance?.(view.entries) : undefined;
        if (hindrance === undefined && last !== undefined && isSameView(last, view)) continue;
        last = view;
        yield hindrance === undefined ? view : { ...view, hindrance };
      }
    } finally {
      this.#watchers.delete(watcher);
      this.#uses += 1;
      for (const { id } of this.#index.match(selectors)) this.#lastUsed.set(id, this.#uses);
    }
  }

  /** Every bundle there is: at once, and again whenever one changes, comes or goes, until aborted. */
  async *watchBundles(signal: AbortSignal): AsyncGenerator<readonly Bundle[]> {
    let last: readonly Bundle[] | undefined;
    for await (const _ of this.#changes.follow(signal)) {
      if (this.#content === undefined) {
        this.#requireHope();
        continue;
      }
      const bundles = [...this.#content.bundles.values()];
      if (last !== undefined && isSameList(last, bundles)) continue;
      last = bundles;
      yield bundles;
    }
  }

  /** What a workload with these selectors is entitled to at this moment; nothing before the cache is filled. */
  entriesOf(selectors: readonly Selector[]): readonly AuthorizedEntry[] {
    return this.#content === undefined ? [] : this.#currentEntries(selectors);
  }

  /** Yields at once, and again after whatever changes here, until aborted. */
  changes(signal: AbortSignal): AsyncGenerator<void> {
    return this.#changes.follow(signal);
  }

  /** Of an empty cache. */
  #requireHope(): void {
    const hindrance = this.#options.findHindrance?.(undefined);
    if (hindrance !== undefined) throw hindrance;
  }

  #currentEntries(selectors: readonly Selector[]): readonly AuthorizedEntry[] {
    const now = this.#options.clock().getTime();
    return this.#index.match(selectors).filter((entry) => isCurrent(entry, now));
  }

  #view(selectors: readonly Selector[], isGiven?: (entry: AuthorizedEntry) => boolean): WorkloadView | undefined {
    const content = this.#content;
    if (content === undefined) return undefined;
    const now = this.#options.clock();
    if (isGiven !== undefined) return this.#makeView(selectors, content, now, isGiven).view;
    return this.#views.get(selectors, content, now.getTime(), () => this.#makeView(selectors, content, now));
  }

  /** @returns also when the first of what it has expires, in milliseconds since 1970. */
  #makeView(
    selectors: readonly Selector[],
    { svids, bundles }: CacheContent,
    now: Date,
    isGiven: (entry: AuthorizedEntry) => boolean = () => true,
  ): { readonly view: WorkloadView; readonly until: number } {
    const { trustDomain } = this.#options;
    const entries = inIdentityOrder(this.#currentEntries(selectors).filter(isGiven));
    const federatesWith = new Set(entries.flatMap((entry) => entry.federatesWith));
    federatesWith.delete(trustDomain);
    const identities = entries.flatMap((entry) => {
      const svid = svids.get(entry.id);
      return svid === undefined || isPast(svid.expiresAt, svid.steadyOffsetMs, now) ? [] : [{ entry, svid }];
    });
    const ends = [
      ...entries.flatMap(({ expiresAt }) => (expiresAt === 0 ? [] : [expiresAt * 1000])),
      // By the machine's clock, which may have been set back since the SVID came: then sooner than it says.
      ...identities.map(({ svid }) => now.getTime() + msUntil(svid.expiresAt, svid.steadyOffsetMs, now)),
    ];
    return {
      until: Math.min(Number.POSITIVE_INFINITY, ...ends),
      view: {
        entries,
        identities,
        bundle: bundles.get(trustDomain) ?? emptyBundle(trustDomain),
        federatedBundles: [...federatesWith].toSorted().flatMap((name) => bundles.get(name) ?? []),
      },
    };
  }
}

/** Whether a workload is still entitled to some of what it was given, which may have expired. */
function mayKeep(given: WorkloadView | undefined, { entries }: WorkloadView): boolean {
  return given?.identities.some(({ entry }) => entries.some(({ id }) => id === entry.id)) ?? false;
}

/** Values that did not change are the same objects. */
function isSameView(a: WorkloadView, b: WorkloadView): boolean {
  if (a === b) return true;
  return (
    a.bundle === b.bundle &&
    isSameList(a.entries, b.entries) &&
    isSameList(a.federatedBundles, b.federatedBundles) &&
    isSameList(
      a.identities.map(({ svid }) => svid),
      b.identities.map(({ svid }) => svid),
    )
  );
}

function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
