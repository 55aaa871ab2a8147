import type { CreatedEntry, EntryRepository } from '../datastore/entry-repository.ts';
import { MAX_PAGE_SIZE } from '../datastore/page.ts';
import { type CallEnded, observed } from '../rpc/call-observer.ts';
import type { RegistrationEntry } from '../spiffe/entry.ts';
import { containsAllSelectors, type Selector } from '../spiffe/selector.ts';
import { isAgentId, type SpiffeId, serverId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { callMeter } from '../telemetry/call-metrics.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { CachedEntry } from './cached-entry.ts';
import { EntryIndex } from './entry-index.ts';
import { SharedRun } from './shared-run.ts';
import { inOrder } from './sorted-entries.ts';

const EVENTS_A_STEP = 1000;

/** Hears of every entry that comes, goes or is replaced, and may look at the cache as it is at that moment. */
export interface EntryObserver {
  /** The cache still has it. */
  leaves(entry: CachedEntry): void;
  /** The cache has it by now. */
  comes(entry: CachedEntry): void;
  /** What came and left is all for now. */
  settled(): void;
  /** Everything was read anew: nobody knows what came and left. */
  reloaded(): void;
}

/** Who may sign for what is below a parent ID. */
export interface Holders {
  readonly agents: ReadonlySet<SpiffeId>;
  /** Entries for nodes: agents with all selectors of one of them. */
  readonly aliases: ReadonlySet<CachedEntry>;
}

/**
 * All registration entries in memory, so that what an agent may have is answered without a query.
 * It follows the datastore's event log.
 */
export class EntryCache {
  readonly #entries: EntryRepository;
  /** Parent of the entries for nodes. */
  readonly serverId: SpiffeId;
  readonly #observers = new Set<EntryObserver>();
  readonly #reloaded: CallEnded;
  #index = new EntryIndex();
  #sequence = 0;
  /** By the sequence of the event that tells of them. */
  readonly #known = new Map<number, RegistrationEntry>();
  readonly #refreshing = new SharedRun(() => observed(this.#reloaded, () => this.#catchUp()));
  /** Said by whoever wants more than what the event log says. */
  #isReloadDue = false;

  private constructor(entries: EntryRepository, trustDomain: TrustDomain, metrics: Metrics | undefined) {
    this.#entries = entries;
    this.#reloaded = metrics === undefined ? () => {} : callMeter(metrics, ['entry', 'cache', 'reload']);
    if (metrics !== undefined) this.#measure(metrics);
    this.serverId = serverId(trustDomain);
  }

  static async open(entries: EntryRepository, trustDomain: TrustDomain, metrics?: Metrics): Promise<EntryCache> {
    const cache = new EntryCache(entries, trustDomain, metrics);
    await observed(cache.#reloaded, () => cache.#reload());
    return cache;
  }

  get size(): number {
    return this.#index.size;
  }

  find(id: string): CachedEntry | undefined {
    return this.#index.find(id);
  }

  get all(): Iterable<CachedEntry> {
    return this.#index.all;
  }

  /** Number of the last change of entries that is in here. */
  get sequence(): number {
    return this.#sequence;
  }

  /** @returns what ends it. */
  observe(observer: EntryObserver): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Entries that expire after `from` and no later than `to`, in Unix seconds. */
  expiringBetween(from: number, to: number): readonly CachedEntry[] {
    return [...this.#index.expiring].filter(({ expiresAt }) => expiresAt > from && expiresAt <= to);
  }

  /** Of an entry for nodes, itself; of any other, the ways up from it. Entries that expired count. */
  holdersOf(entry: CachedEntry): Holders {
    const agents = new Set<SpiffeId>();
    const aliases = new Set<CachedEntry>();
    const visited = new Set([entry]);
    for (const one of visited) {
      // A set that grows is walked to its end.
      if (one.parentId === this.serverId) aliases.add(one);
      else if (isAgentId(one.parentId)) agents.add(one.parentId);
      else for (const above of this.entriesOf(one.parentId)) visited.add(above);
    }
    return { agents, aliases };
  }

  /** Every entry that gives `spiffeId`. */
  entriesOf(spiffeId: SpiffeId): readonly CachedEntry[] {
    return this.#index.entriesOf(spiffeId);
  }

  /** Every entry whose parent is `parentId`, in the order of their ids. */
  entriesBelow(parentId: SpiffeId): readonly CachedEntry[] {
    return this.#index.entriesBelow(parentId);
  }

  /**
   * Runs `look` on the entries as they would be after some changes, which are then undone: it cannot wait for anything.
   *
   * @param changes an absent entry is one that is deleted
   */
  whatIf<Result>(changes: ReadonlyMap<string, RegistrationEntry | undefined>, look: () => Result): Result {
    const before = new Map([...changes.keys()].map((id) => [id, this.#index.find(id)]));
    for (const [id, entry] of changes) this.#index.set(id, entry);
    try {
      return look();
    } finally {
      for (const [id, entry] of before) this.#index.set(id, entry);
    }
  }

  /**
   * Catches up with the event log. Calls made meanwhile see what was stored before they were made.
   *
   * @param created what the caller has just stored, which need not be read again.
   */
  async refresh(created: readonly CreatedEntry[] = []): Promise<void> {
    const known = created.flatMap(({ entry, sequence }) => (sequence === undefined ? [] : [{ entry, sequence }]));
    for (const { entry, sequence } of known) this.#known.set(sequence, entry);
    try {
      await this.#refreshing.run();
    } finally {
      for (const { sequence } of known) this.#known.delete(sequence);
    }
  }

  /** Reads every entry again, whatever the event log says. */
  async reload(): Promise<void> {
    this.#isReloadDue = true;
    await this.#refreshing.run();
  }

  /**
   * What an agent may sign for: entries below it, below the node aliases that its selectors earn, and below
   * those in turn. Expired entries give nothing.
   *
   * @param now Unix seconds.
   * @returns in the order of their ids
   */
  authorizedEntries(agent: SpiffeId, agentSelectors: readonly Selector[], now: number): readonly CachedEntry[] {
    const authorized: CachedEntry[] = [];
    const visited = new Set<SpiffeId>();
    const parents = [agent, ...this.#aliases(agentSelectors, now)];
    let groups = 0;
    for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
      if (visited.has(parent) || !this.#index.isParent(parent)) continue;
      visited.add(parent);
      groups += 1;
      for (const entry of this.#index.entriesBelow(parent)) {
        if (isExpired(entry, now)) continue;
        authorized.push(entry);
        if (this.#index.isParent(entry.spiffeId)) parents.push(entry.spiffeId);
      }
    }
    return groups > 1 ? inOrder(authorized) : authorized;
  }

  /**
   * Finds single entries among {@link authorizedEntries}, without walking through all of them.
   *
   * @param now Unix seconds.
   */
  authorizedEntry(
    agent: SpiffeId,
    agentSelectors: readonly Selector[],
    now: number,
  ): (id: string) => CachedEntry | undefined {
    const earned = new Set([agent, ...this.#aliases(agentSelectors, now)]);
    return (id) => {
      const entry = this.#index.find(id);
      return entry !== undefined && this.#isEarned(entry, earned, now) ? entry : undefined;
    };
  }

  /** Walks up from the entry: there are few ways up, and many down. */
  #isEarned(entry: CachedEntry, earned: ReadonlySet<SpiffeId>, now: number): boolean {
    const visited = new Set<SpiffeId>();
    const above: CachedEntry[] = [entry];
    for (let next = above.pop(); next !== undefined; next = above.pop()) {
      if (isExpired(next, now)) continue;
      if (earned.has(next.parentId)) return true;
      if (visited.has(next.parentId)) continue;
      visited.add(next.parentId);
      above.push(...this.entriesOf(next.parentId));
    }
    return false;
  }

  #aliases(agentSelectors: readonly Selector[], now: number): SpiffeId[] {
    return this.#index
      .entriesBelow(this.serverId)
      .filter((entry) => !isExpired(entry, now) && containsAllSelectors(agentSelectors, entry.selectors))
      .map(({ spiffeId }) => spiffeId);
  }

  /** Inventory M048, M050. */
  #measure(metrics: Metrics): void {
    const entries = metrics.gauge(['entry', 'entries_by_entryid_cache', 'count']);
    const aliases = metrics.gauge(['entry', 'nodealiases_by_entryid_cache', 'count']);
    metrics.collect(() => {
      entries.set(this.#index.size);
      aliases.set(this.#index.entriesBelow(this.serverId).length);
    });
  }

  async #catchUp(): Promise<void> {
    if (!this.#isReloadDue) return await this.#follow();
    this.#isReloadDue = false;
    await this.#reload();
  }

  async #follow(): Promise<void> {
    for (;;) {
      const { events, missed } = await this.#entries.eventsAfter(this.#sequence, EVENTS_A_STEP);
      if (missed) return this.#reload();
      const last = events.at(-1);
      if (last === undefined) return;
      const changed = new Map<string, RegistrationEntry | undefined>();
      for (const { key, sequence } of events) changed.set(key, this.#known.get(sequence));
      const unknown = [...changed].flatMap(([id, entry]) => (entry === undefined ? [id] : []));
      for (const entry of await this.#entries.findMany(unknown)) changed.set(entry.id, entry);
      for (const [id, entry] of changed) this.#set(id, entry);
      this.#sequence = last.sequence;
      for (const observer of this.#observers) observer.settled();
      if (events.length < EVENTS_A_STEP) return;
    }
  }

  async #reload(): Promise<void> {
    const sequence = await this.#entries.latestEvent();
    const index = new EntryIndex();
    for (let token: string | undefined; token !== ''; ) {
      const page = await this.#entries.list({}, { size: MAX_PAGE_SIZE, ...(token === undefined ? {} : { token }) });
      for (const entry of page.items) index.set(entry.id, entry);
      token = page.nextPageToken;
    }
    this.#index = index;
    this.#sequence = sequence;
    for (const observer of this.#observers) observer.reloaded();
  }

  #set(id: string, entry: RegistrationEntry | undefined): void {
    const before = this.#index.find(id);
    if (before !== undefined) for (const observer of this.#observers) observer.leaves(before);
    this.#index.set(id, entry);
    const after = this.#index.find(id);
    if (after !== undefined) for (const observer of this.#observers) observer.comes(after);
  }
}

function isExpired({ expiresAt }: RegistrationEntry, now: number): boolean {
  return expiresAt !== 0 && expiresAt <= now;
}
