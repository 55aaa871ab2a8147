import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';

/** Finds the entries all of whose selectors a workload has, without looking at every entry. */
export class EntryIndex {
  readonly #bySelector = new Map<string, { readonly entry: AuthorizedEntry; readonly wanted: readonly string[] }[]>();

  readonly #matched = new WeakMap<readonly Selector[], readonly AuthorizedEntry[]>();

  /** Each entry is filed under one of its selectors: who lacks that one cannot match. */
  constructor(entries: Iterable<AuthorizedEntry>) {
    for (const entry of entries) {
      const wanted = entry.selectors.map(formatSelector);
      const [first] = wanted;
      if (first === undefined) continue; // without selectors it would be everybody's
      const filed = this.#bySelector.get(first);
      if (filed === undefined) this.#bySelector.set(first, [{ entry, wanted }]);
      else filed.push({ entry, wanted });
    }
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
