/** What makes one map another: a value that has changed is another object. */
export interface MapDifference<Value> {
  readonly added: readonly Value[];
  readonly changed: readonly { readonly before: Value; readonly after: Value }[];
  readonly removed: readonly Value[];
}

type Values<Value extends object> = ReadonlyMap<string, Value>;

export function mapDifference<Value extends object>(before: Values<Value>, after: Values<Value>): MapDifference<Value> {
  if (before === after) return { added: [], changed: [], removed: [] };
  const added: Value[] = [];
  const changed: { before: Value; after: Value }[] = [];
  const removed: Value[] = [];
  for (const [key, value] of after) {
    const known = before.get(key);
    if (known === undefined) added.push(value);
    else if (known !== value) changed.push({ before: known, after: value });
  }
  if (before.size + added.length === after.size) return { added, changed, removed }; // none is gone
  for (const [key, value] of before) if (!after.has(key)) removed.push(value);
  return { added, changed, removed };
}

export function isSameMap<Key, Value>(a: ReadonlyMap<Key, Value>, b: ReadonlyMap<Key, Value>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
