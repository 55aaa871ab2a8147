import { expect, test } from 'vitest';
import { Allowance } from '../../src/plugin-host/allowance.ts';

test('what is spent beyond the burst has to wait as long as it takes to come in', () => {
  let now = 0;
  const allowance = new Allowance({ perSecond: 100, burst: 10, now: () => now });
  expect(allowance.spend(10)).toBe(0);
  expect(allowance.spend(1)).toBe(10);
  expect(allowance.spend(4)).toBe(50);
  now += 50;
  expect(allowance.spend(0)).toBe(0);
  expect(allowance.trySpend(1)).toBe(false);
  now += 10;
  expect([allowance.trySpend(1), allowance.trySpend(1)]).toEqual([true, false]);
});

test('a long rest gives no more than the burst', () => {
  let now = 0;
  const allowance = new Allowance({ perSecond: 100, burst: 10, now: () => now });
  now += 60_000;
  expect(allowance.spend(20)).toBe(100);
});
