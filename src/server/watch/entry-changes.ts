import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { CachedEntry } from '../cached-entry.ts';
import type { EntryCache, EntryObserver } from '../entry-cache.ts';
import type { WatchHub } from './watch-hub.ts';
import { bothOf, type Changes } from './watcher.ts';

const ENTRIES = { entries: true, bundles: false };

/**
 * Tells agents of entries that came, left or expired: those that could sign for them before or can now. A change of
 * many entries is told once.
 */
export class EntryChanges implements EntryObserver, Disposable {
  readonly #cache: EntryCache;
  readonly #hub: WatchHub;
  readonly #agents = new Map<SpiffeId, Changes>();
  readonly #aliases = new Map<CachedEntry, Changes>();
  readonly #stop: () => void;

  constructor(cache: EntryCache, hub: WatchHub) {
    this.#cache = cache;
    this.#hub = hub;
    this.#stop = cache.observe(this);
  }

  leaves(entry: CachedEntry): void {
    this.#collect(entry);
  }

  comes(entry: CachedEntry): void {
    this.#collect(entry);
  }

  settled(): void {
    if (this.#agents.size === 0 && this.#aliases.size === 0) return;
    this.#hub.tellEach({ agents: this.#agents, aliases: this.#aliases });
    this.#agents.clear();
    this.#aliases.clear();
  }

  reloaded(): void {
    this.#agents.clear();
    this.#aliases.clear();
    this.#hub.tellAll(ENTRIES);
  }

  /** Nothing is written when an entry expires: time does it. Seconds since 1970. */
  expire(from: number, to: number): void {
    for (const entry of this.#cache.expiringBetween(from, to)) this.#collect(entry);
    this.settled();
  }

  [Symbol.dispose](): void {
    this.#stop();
  }

  #collect(entry: CachedEntry): void {
    if (this.#hub.size === 0) return;
    const { agents, aliases } = this.#cache.holdersOf(entry);
    // What is below an entry comes and goes with it, and is not named.
    const isAlone = entry.parentId !== this.#cache.serverId && this.#cache.entriesBelow(entry.spiffeId).length === 0;
    const changes = isAlone ? { ...ENTRIES, entryIds: new Set([entry.id]) } : ENTRIES;
    for (const agent of agents) add(this.#agents, agent, changes);
    for (const alias of aliases) add(this.#aliases, alias, changes);
  }
}

function add<Holder>(all: Map<Holder, Changes>, holder: Holder, changes: Changes): void {
  const before = all.get(holder);
  all.set(holder, before === undefined ? changes : bothOf(before, changes));
}
