import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';

/** Whoever was created first comes first: the first identity is the default one. */
export function byAge(a: AuthorizedEntry, b: AuthorizedEntry): number {
  return a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1);
}

/** The entries in order; of those with the same hint, only the one that was created first. */
export function inIdentityOrder(entries: readonly AuthorizedEntry[]): readonly AuthorizedEntry[] {
  const hints = new Set<string>();
  return entries.toSorted(byAge).filter(({ hint }) => {
    if (hint === '') return true;
    const isFirst = !hints.has(hint);
    hints.add(hint);
    return isFirst;
  });
}
