import { describe, expect, test } from 'vitest';
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

describe('a plugin that failed five times in a minute', () => {
  let now = 0;
  const failOften = (times = 5) => {
    const policy = new RestartPolicy(() => now);
    for (let failures = 1; failures <= times; failures++) {
      policy.fail(0);
      now += 10_000;
    }
    return policy;
  };

  test('is unhealthy, one that failed four times is not', () => {
    expect(failOften(4).isUnhealthy).toBe(false);
    expect(failOften().isUnhealthy).toBe(true);
  });

  test('stays so while it does not run, however seldom it is tried by then', () => {
    const policy = failOften();
    now += 3_600_000;
    expect(policy.isUnhealthy).toBe(true);
    policy.fail(0);
    expect(policy.isUnhealthy).toBe(true);
  });

  test('is well again once it has run for half a minute', () => {
    const policy = failOften();
    policy.run();
    now += 29_999;
    expect(policy.isUnhealthy).toBe(true);
    now += 1;
    expect(policy.isUnhealthy).toBe(false);
    now += 100_000;
    policy.fail(100_000);
    expect(policy.isUnhealthy).toBe(false);
  });

  test('is not well for having run a little', () => {
    const policy = failOften();
    policy.run();
    now += 20_000;
    policy.fail(20_000);
    policy.run();
    now += 20_000;
    expect(policy.isUnhealthy).toBe(true);
  });
});
