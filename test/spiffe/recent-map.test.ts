import { expect, test } from 'vitest';
import { RecentMap } from '../../src/spiffe/recent-map.ts';

test('of too many keys, the one that was set longest ago is forgotten', () => {
  const map = new RecentMap<string, number>(2);
  map.set('a', 1);
  map.set('b', 2);
  map.set('a', 3);
  map.set('c', 4);
  expect(['a', 'b', 'c'].map((key) => map.get(key))).toEqual([3, undefined, 4]);
});
