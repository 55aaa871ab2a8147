import type { AuthorityState, Slot } from './ca-journal.ts';

interface Slotted {
  readonly slot: Slot;
  readonly state: AuthorityState;
}

export function recordIn<Record extends Slotted>(
  records: readonly Record[],
  state: AuthorityState,
): Record | undefined {
  return records.findLast((record) => record.state === state);
}

/** The slot that the next authority may take: never that of the one that signs. */
export function freeSlot(records: readonly Slotted[]): Slot {
  return recordIn(records, 'active')?.slot === 'A' ? 'B' : 'A';
}

/** Adds a prepared record; whatever held its slot is gone with the key. */
export function withPrepared<Record extends Slotted>(records: readonly Record[], prepared: Record): readonly Record[] {
  return [...records.filter(({ slot, state }) => slot !== prepared.slot && state !== 'prepared'), prepared];
}

/** The prepared one signs from here on; the one that signed is old. */
export function withActivated<Record extends Slotted>(records: readonly Record[]): readonly Record[] {
  const prepared = recordIn(records, 'prepared');
  if (prepared === undefined) return records;
  return records
    .filter(({ state }) => state !== 'old')
    .map((record) => ({ ...record, state: record === prepared ? ('active' as const) : ('old' as const) }));
}
