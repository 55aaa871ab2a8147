import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';

type Entries = ReadonlyMap<string, AuthorizedEntry>;

/** What makes some entries others: an entry that has changed is another object. */
export interface EntryDifference {
  readonly added: readonly AuthorizedEntry[];
  readonly changed: readonly { readonly before: AuthorizedEntry; readonly after: AuthorizedEntry }[];
  readonly removed: readonly AuthorizedEntry[];
}

const NONE: EntryDifference = { added: [], changed: [], removed: [] };

/** The last pair that was compared: several ask for the same, of ten thousand entries of which one is new. */
let last: { before: WeakRef<Entries>; after: WeakRef<Entries>; difference: EntryDifference } | undefined;

export function entryDifference(before: Entries, after: Entries): EntryDifference {
  if (before === after) return NONE;
  if (last !== undefined && last.before.deref() === before && last.after.deref() === after) return last.difference;
  const difference = compare(before, after);
  last = { before: new WeakRef(before), after: new WeakRef(after), difference };
  return difference;
}

function compare(before: Entries, after: Entries): EntryDifference {
  const added: AuthorizedEntry[] = [];
  const changed: { before: AuthorizedEntry; after: AuthorizedEntry }[] = [];
  const removed: AuthorizedEntry[] = [];
  for (const [id, entry] of after) {
    const known = before.get(id);
    if (known === undefined) added.push(entry);
    else if (known !== entry) changed.push({ before: known, after: entry });
  }
  if (before.size + added.length === after.size) return { added, changed, removed }; // none is gone
  for (const [id, entry] of before) if (!after.has(id)) removed.push(entry);
  return { added, changed, removed };
}
