import { describe, expect, test } from 'vitest';
import { EntryIds } from '../../src/datastore/entry-id.ts';

describe('IDs of new entries', () => {
  test('are UUIDs of version 7 with the time in front (RFC 9562 §5.7)', () => {
    const at = Date.parse('2022-02-22T19:22:22Z');
    const id = new EntryIds(() => at).next();
    expect(id).toMatch(/^017f22e2-79b0-7000-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/); // the time of RFC 9562 A.6
  });

  test('grow, however many a millisecond and whichever way the clock goes', () => {
    let at = 1_700_000_000_000;
    const ids = new EntryIds(() => at);
    const made = Array.from({ length: 10_000 }, (_, n) => {
      if (n === 5_000) at -= 86_400_000;
      if (n === 7_000) at += 86_400_001;
      return ids.next();
    });
    expect(made.toSorted()).toEqual(made);
    expect(new Set(made).size).toBe(made.length);
  });
});
