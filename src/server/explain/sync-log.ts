import { RecentMap } from '../../spiffe/recent-map.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { CachedEntry } from '../cached-entry.ts';
import type { EntryCache, EntryObserver } from '../entry-cache.ts';

export interface LastSync {
  /** Number of the last change of entries that was in the answer. */
  readonly revision: number;
  readonly at: Date;
}

/** More agents than a server has; the one that synced longest ago is forgotten first. */
const MAX_AGENTS = 100_000;

/** Remembers what each agent was last answered with, and which entries have changed since this server started. */
export class SyncLog implements EntryObserver, Disposable {
  readonly #cache: EntryCache;
  readonly #clock: () => Date;
  readonly #syncs = new RecentMap<SpiffeId, LastSync>(MAX_AGENTS);
  readonly #changed = new Map<string, number>();
  readonly #unsettled = new Set<string>();
  readonly #stop: () => void;

  constructor(cache: EntryCache, clock: () => Date) {
    this.#cache = cache;
    this.#clock = clock;
    this.#stop = cache.observe(this);
  }

  /** An agent is being answered what it may sign for. */
  record(agent: SpiffeId): void {
    this.#syncs.set(agent, { revision: this.#cache.sequence, at: this.#clock() });
  }

  find(agent: SpiffeId): LastSync | undefined {
    return this.#syncs.get(agent);
  }

  /** Whether the agent's last sync had these entries as they are now; undefined where it has not synced here. */
  hasSeen(agent: SpiffeId, entries: readonly CachedEntry[]): boolean | undefined {
    const sync = this.#syncs.get(agent);
    if (sync === undefined) return undefined;
    return entries.every(({ id }) => (this.#changed.get(id) ?? 0) <= sync.revision);
  }

  leaves({ id }: CachedEntry): void {
    this.#changed.delete(id);
    this.#unsettled.delete(id);
  }

  comes({ id }: CachedEntry): void {
    this.#unsettled.add(id);
  }

  settled(): void {
    for (const id of this.#unsettled) this.#changed.set(id, this.#cache.sequence);
    this.#unsettled.clear();
  }

  /** Any of them may have changed. */
  reloaded(): void {
    this.#unsettled.clear();
    this.#changed.clear();
    for (const { id } of this.#cache.all) this.#changed.set(id, this.#cache.sequence);
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}
