import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import { entryDifference } from './entry-difference.ts';

type Entries = ReadonlyMap<string, AuthorizedEntry>;
interface Filed {
  readonly entry: AuthorizedEntry;
  readonly wanted: readonly string[];
}

/** Finds the entries all of whose selectors a workload has, without looking at every entry. */
export class EntryIndex {
  readonly #bySelector = new Map<string, Filed[]>();
  #entries: Entries = new Map();
  #matched = new WeakMap<readonly Selector[], readonly AuthorizedEntry[]>();

  /** Entries that did not change are the same objects, and stay where they are. */
  replace(entries: Entries): void {
    const before = this.#entries;
    if (entries === before) return;
    const { added, changed, removed } = entryDifference(before, entries);
    for (const entry of [...removed, ...changed.map((one) => one.before)]) this.#remove(entry);
    for (const entry of [...added, ...changed.map((one) => one.after)]) this.#add(entry);
    this.#entries = entries;
    this.#matched = new WeakMap();
  }

  /** Each entry is filed under one of its selectors: who lacks that one cannot match. */
  #add(entry: AuthorizedEntry): void {
    if (entry.storeSvid) return; // no workload's
    const wanted = entry.selectors.map(formatSelector);
    const [first] = wanted;
    if (first === undefined) return; // without selectors it would be everybody's
    const filed = this.#bySelector.get(first);
    if (filed === undefined) this.#bySelector.set(first, [{ entry, wanted }]);
    else filed.push({ entry, wanted });
  }

  #remove(entry: AuthorizedEntry): void {
    const [first] = entry.selectors;
    if (entry.storeSvid || first === undefined) return;
    const key = formatSelector(first);
    const others = (this.#bySelector.get(key) ?? []).filter((filed) => filed.entry !== entry);
    if (others.length === 0) this.#bySelector.delete(key);
    else this.#bySelector.set(key, others);
  }

  /** Found once for a list, which workloads with the same selectors share: several ask for each call of theirs. */
  match(selectors: readonly Selector[]): readonly AuthorizedEntry[] {
    const known = this.#matched.get(selectors);
    if (known !== undefined) return known;
    const have = new Set(selectors.map(formatSelector));
    const found = [...have].flatMap((selector) =>
      (this.#bySelector.get(selector) ?? [])
        .filter(({ wanted }) => wanted.every((one) => have.has(one)))
        .map(({ entry }) => entry),
    );
    this.#matched.set(selectors, found);
    return found;
  }
}
