import { expect, test } from 'vitest';
import type { AuthorizedEntry } from '../../../src/agent/server-api/authorized-entry.ts';
import { type EntryDifference, entryDifference } from '../../../src/agent/workloads/entry-difference.ts';
import { EntryIndex } from '../../../src/agent/workloads/entry-index.ts';
import { formatSelector, parseSelector } from '../../../src/spiffe/selector.ts';

const SELECTORS = ['unix:uid:1', 'unix:uid:2', 'unix:gid:3'].map(parseSelector);

const entryOf = (id: string, random: () => number): AuthorizedEntry =>
  ({
    id,
    selectors: SELECTORS.filter(() => random() < 0.5),
    storeSvid: random() < 0.1,
  }) as Partial<AuthorizedEntry> as AuthorizedEntry;

/** Numbers from 0 to 1, the same each time. @see https://en.wikipedia.org/wiki/Lehmer_random_number_generator */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Some of them gone, some changed, some new. */
function changed(before: ReadonlyMap<string, AuthorizedEntry>, random: () => number) {
  const after = new Map(before);
  for (const id of before.keys()) {
    const what = random();
    if (what < 0.1) after.delete(id);
    else if (what < 0.2) after.set(id, entryOf(id, random));
  }
  for (let count = Math.floor(random() * 4); count > 0; count -= 1) {
    const id = `entry-${Math.floor(random() * 30)}`;
    if (!after.has(id)) after.set(id, entryOf(id, random));
  }
  return after;
}

const byId = (pairs: EntryDifference['changed']) => pairs.toSorted((a, b) => (a.before.id < b.before.id ? -1 : 1));

test('of entries that come, change and go, the index finds what a look at each of them finds', () => {
  const random = randomFrom(20_261_128);
  const index = new EntryIndex();
  let entries: ReadonlyMap<string, AuthorizedEntry> = new Map();
  for (let round = 0; round < 500; round += 1) {
    const before = entries;
    entries = changed(before, random);
    const difference = entryDifference(before, entries);
    const { added, changed: others, removed } = difference;
    expect(entryDifference(before, entries)).toBe(difference);
    const ids = (list: readonly AuthorizedEntry[]) => list.map(({ id }) => id).toSorted();
    expect(ids(added)).toEqual([...entries.keys()].filter((id) => !before.has(id)).toSorted());
    expect(ids(removed)).toEqual([...before.keys()].filter((id) => !entries.has(id)).toSorted());
    const pairs = [...before.values()].map((one) => ({ before: one, after: entries.get(one.id) ?? one }));
    expect(byId(others)).toEqual(byId(pairs.filter((pair) => pair.before !== pair.after)));
    index.replace(entries);
    const have = SELECTORS.filter(() => random() < 0.7);
    const texts = new Set(have.map(formatSelector));
    const matching = [...entries.values()].filter(
      ({ selectors, storeSvid }) =>
        !storeSvid && selectors.length > 0 && selectors.every((selector) => texts.has(formatSelector(selector))),
    );
    expect(ids(index.match(have))).toEqual(ids(matching));
    expect(index.match(have)).toBe(index.match(have));
  }
});
