import { expect, test } from 'vitest';
import { ToldChanges } from '../../../src/agent/sync/told-changes.ts';

test('everything is asked for until the server tells, and again where anything may have changed', () => {
  const told = new ToldChanges();
  told.add({ entryIds: ['a'] }); // before it was asked for everything, that says nothing
  expect(told.take()).toBeUndefined();
  expect(told.take()).toEqual(new Set());
  told.add({ entryIds: ['a', 'b'] });
  told.add({ entryIds: ['b', 'c'] });
  expect(told.take()).toEqual(new Set(['a', 'b', 'c']));
  expect(told.take()).toEqual(new Set());
  told.add({ entryIds: ['a'] });
  told.add({ entryIds: undefined });
  told.add({ entryIds: ['b'] });
  expect(told.take()).toBeUndefined();
  told.addAll();
  expect(told.take()).toBeUndefined();
  expect(told.take()).toEqual(new Set());
});
