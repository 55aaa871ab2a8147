import { expect, test } from 'vitest';
import { Ending } from '../../src/rpc/ending.ts';

test('tells everybody who is there once, and who comes later at once; not who has left', () => {
  const ending = new Ending();
  const told: string[] = [];
  const left = () => told.push('left');
  ending.add(() => told.push('early'));
  ending.add(left);
  ending.delete(left);
  ending.begin();
  ending.add(() => told.push('late'));
  ending.begin();
  expect(told).toEqual(['early', 'late']);
});
