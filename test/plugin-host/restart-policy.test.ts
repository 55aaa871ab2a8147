import { expect, test } from 'vitest';
import { RestartPolicy } from '../../src/plugin-host/restart-policy.ts';

test('pauses double from 100 ms to 30 s, with jitter of half of each', () => {
  const pauses = (random: number) => {
    const policy = new RestartPolicy(
      () => 0,
      () => random,
    );
    return Array.from({ length: 11 }, () => policy.fail(0));
  };
  expect(pauses(1)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  expect(pauses(0)).toEqual([50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000]);
});

test('a plugin that had run for long starts with the first pause', () => {
  const policy = new RestartPolicy(
    () => 0,
    () => 1,
  );
  expect([policy.fail(0), policy.fail(0), policy.fail(30_000), policy.fail(0)]).toEqual([100, 200, 100, 200]);
});

test('five failures in a minute make it unhealthy, a minute without one ends that', () => {
  let now = 0;
  const policy = new RestartPolicy(() => now);
  for (let failures = 1; failures <= 4; failures++) {
    policy.fail(0);
    now += 10_000;
  }
  expect(policy.isUnhealthy).toBe(false);
  policy.fail(0);
  expect(policy.isUnhealthy).toBe(true);
  now += 20_000;
  expect(policy.isUnhealthy).toBe(false);
});
