import type { CachedEntry } from './cached-entry.ts';

/** Entries in the order of their ids, one an id. */
export class SortedEntries {
  readonly #entries: CachedEntry[] = [];

  get list(): readonly CachedEntry[] {
    return this.#entries;
  }

  put(entry: CachedEntry): void {
    const index = indexOf(this.#entries, entry.id);
    this.#entries.splice(index, this.#entries[index]?.id === entry.id ? 1 : 0, entry);
  }

  drop(id: string): void {
    const index = indexOf(this.#entries, id);
    if (this.#entries[index]?.id === id) this.#entries.splice(index, 1);
  }
}

export function inOrder(entries: readonly CachedEntry[]): readonly CachedEntry[] {
  return entries.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

export function findById(entries: readonly CachedEntry[], id: string): CachedEntry | undefined {
  const entry = entries[indexOf(entries, id)];
  return entry?.id === id ? entry : undefined;
}

/** Of the entry with that id, or where it would stand. */
function indexOf(entries: readonly CachedEntry[], id: string): number {
  const last = entries.at(-1);
  if (last === undefined || last.id < id) return entries.length; // as when all are read in their order
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle]?.id ?? '') < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
