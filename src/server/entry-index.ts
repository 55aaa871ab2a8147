import type { RegistrationEntry } from '../spiffe/entry.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { type CachedEntry, EntryTexts } from './cached-entry.ts';
import { SortedEntries } from './sorted-entries.ts';

/** Entries by all that they are looked up by. */
export class EntryIndex {
  readonly #texts = new EntryTexts();
  readonly #byId = new Map<string, CachedEntry>();
  readonly #expiring = new Set<CachedEntry>();
  readonly #byParent = new Map<SpiffeId, SortedEntries>();
  /** Nearly every SPIFFE ID has one entry: it stands alone. */
  readonly #bySpiffeId = new Map<SpiffeId, CachedEntry | CachedEntry[]>();

  get size(): number {
    return this.#byId.size;
  }

  get all(): Iterable<CachedEntry> {
    return this.#byId.values();
  }

  /** Those that expire at some time, or have. */
  get expiring(): Iterable<CachedEntry> {
    return this.#expiring;
  }

  find(id: string): CachedEntry | undefined {
    return this.#byId.get(id);
  }

  entriesOf(spiffeId: SpiffeId): readonly CachedEntry[] {
    const found = this.#bySpiffeId.get(spiffeId);
    if (found === undefined) return [];
    return Array.isArray(found) ? found : [found];
  }

  isParent(spiffeId: SpiffeId): boolean {
    return this.#byParent.has(spiffeId);
  }

  /** In the order of their ids. */
  entriesBelow(parentId: SpiffeId): readonly CachedEntry[] {
    return this.#byParent.get(parentId)?.list ?? [];
  }

  /** @param entry absent: it is no more. */
  set(id: string, entry: RegistrationEntry | undefined): void {
    const previous = this.#byId.get(id);
    if (previous !== undefined) this.#drop(previous);
    if (entry === undefined) return;
    const [sibling] = this.entriesBelow(entry.parentId);
    const cached = this.#texts.toCached(entry, sibling?.parentId ?? entry.parentId);
    this.#byId.set(id, cached);
    if (cached.expiresAt !== 0) this.#expiring.add(cached);
    this.#putBelow(cached.parentId, cached);
    const others = this.#bySpiffeId.get(cached.spiffeId);
    if (Array.isArray(others)) others.push(cached);
    else this.#bySpiffeId.set(cached.spiffeId, others === undefined ? cached : [others, cached]);
  }

  #putBelow(parentId: SpiffeId, entry: CachedEntry): void {
    let siblings = this.#byParent.get(parentId);
    if (siblings === undefined) {
      siblings = new SortedEntries();
      this.#byParent.set(parentId, siblings);
    }
    siblings.put(entry);
  }

  #drop(entry: CachedEntry): void {
    const { id, parentId, spiffeId } = entry;
    this.#byId.delete(id);
    this.#expiring.delete(entry);
    const siblings = this.#byParent.get(parentId);
    siblings?.drop(id);
    if (siblings?.list.length === 0) this.#byParent.delete(parentId);
    const same = this.#bySpiffeId.get(spiffeId);
    if (Array.isArray(same)) same.splice(same.indexOf(entry), 1);
    if (!Array.isArray(same) || same.length === 0) this.#bySpiffeId.delete(spiffeId);
  }
}
