import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import { type MapDifference, mapDifference } from './map-difference.ts';

type Entries = ReadonlyMap<string, AuthorizedEntry>;

export type EntryDifference = MapDifference<AuthorizedEntry>;

/** The last pair that was compared: several ask for the same, of ten thousand entries of which one is new. */
let last: { before: WeakRef<Entries>; after: WeakRef<Entries>; difference: EntryDifference } | undefined;

export function entryDifference(before: Entries, after: Entries): EntryDifference {
  if (last !== undefined && last.before.deref() === before && last.after.deref() === after) return last.difference;
  const difference = mapDifference(before, after);
  last = { before: new WeakRef(before), after: new WeakRef(after), difference };
  return difference;
}
