import type { EntryRepository } from '../datastore/entry-repository.ts';
import type { RegistrationEntry } from '../spiffe/entry.ts';
import { containsAllSelectors, type Selector } from '../spiffe/selector.ts';
import { type SpiffeId, serverId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';

const EVENTS_A_STEP = 1000;

/**
 * All registration entries in memory, so that what an agent may have is answered without a query.
 * It follows the datastore's event log.
 */
export class EntryCache {
  readonly #entries: EntryRepository;
  readonly #serverId: SpiffeId;
  readonly #byId = new Map<string, RegistrationEntry>();
  readonly #byParent = new Map<SpiffeId, Map<string, RegistrationEntry>>();
  readonly #bySpiffeId = new Map<SpiffeId, Map<string, RegistrationEntry>>();
  #sequence = 0;
  #refreshing: Promise<void> | undefined;

  private constructor(entries: EntryRepository, trustDomain: TrustDomain) {
    this.#entries = entries;
    this.#serverId = serverId(trustDomain);
  }

  static async open(entries: EntryRepository, trustDomain: TrustDomain): Promise<EntryCache> {
    const cache = new EntryCache(entries, trustDomain);
    await cache.#reload();
    return cache;
  }

  find(id: string): RegistrationEntry | undefined {
    return this.#byId.get(id);
  }

  /** Every entry that gives `spiffeId`. */
  entriesOf(spiffeId: SpiffeId): readonly RegistrationEntry[] {
    return [...(this.#bySpiffeId.get(spiffeId)?.values() ?? [])];
  }

  /** Catches up with the event log. Calls made meanwhile see what was stored before they were made. */
  async refresh(): Promise<void> {
    await this.#refreshing?.catch(() => {}); // whoever began it learns of it
    this.#refreshing ??= this.#follow().finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  /**
   * What an agent may sign for: entries below it, below the node aliases that its selectors earn, and below
   * those in turn. Expired entries give nothing.
   *
   * @param now Unix seconds.
   */
  authorizedEntries(agent: SpiffeId, agentSelectors: readonly Selector[], now: number): readonly RegistrationEntry[] {
    const authorized = new Map<string, RegistrationEntry>();
    const visited = new Set<SpiffeId>();
    const parents = [agent, ...this.#aliases(agentSelectors, now)];
    for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
      if (visited.has(parent)) continue;
      visited.add(parent);
      for (const entry of this.#byParent.get(parent)?.values() ?? []) {
        if (isExpired(entry, now)) continue;
        authorized.set(entry.id, entry);
        if (this.#byParent.has(entry.spiffeId)) parents.push(entry.spiffeId);
      }
    }
    return [...authorized.values()];
  }

  #aliases(agentSelectors: readonly Selector[], now: number): SpiffeId[] {
    const candidates = this.#byParent.get(this.#serverId)?.values() ?? [];
    return [...candidates]
      .filter((entry) => !isExpired(entry, now) && containsAllSelectors(agentSelectors, entry.selectors))
      .map(({ spiffeId }) => spiffeId);
  }

  async #follow(): Promise<void> {
    for (;;) {
      const { events, missed } = await this.#entries.eventsAfter(this.#sequence, EVENTS_A_STEP);
      if (missed) return this.#reload();
      const last = events.at(-1);
      if (last === undefined) return;
      const ids = [...new Set(events.map(({ key }) => key))];
      const changed = new Map((await this.#entries.findMany(ids)).map((entry) => [entry.id, entry]));
      for (const id of ids) this.#set(id, changed.get(id));
      this.#sequence = last.sequence;
    }
  }

  async #reload(): Promise<void> {
    const sequence = await this.#entries.latestEvent();
    const { items } = await this.#entries.list();
    for (const id of [...this.#byId.keys()]) this.#set(id, undefined);
    for (const entry of items) this.#set(entry.id, entry);
    this.#sequence = sequence;
  }

  #set(id: string, entry: RegistrationEntry | undefined): void {
    const previous = this.#byId.get(id);
    if (previous !== undefined) {
      this.#byId.delete(id);
      drop(this.#byParent, previous.parentId, id);
      drop(this.#bySpiffeId, previous.spiffeId, id);
    }
    if (entry === undefined) return;
    this.#byId.set(id, entry);
    put(this.#byParent, entry.parentId, entry);
    put(this.#bySpiffeId, entry.spiffeId, entry);
  }
}

type Index = Map<SpiffeId, Map<string, RegistrationEntry>>;

function put(index: Index, key: SpiffeId, entry: RegistrationEntry): void {
  const entries = index.get(key);
  if (entries === undefined) index.set(key, new Map([[entry.id, entry]]));
  else entries.set(entry.id, entry);
}

function drop(index: Index, key: SpiffeId, id: string): void {
  const entries = index.get(key);
  entries?.delete(id);
  if (entries?.size === 0) index.delete(key);
}

function isExpired({ expiresAt }: RegistrationEntry, now: number): boolean {
  return expiresAt !== 0 && expiresAt <= now;
}
