import { expect, test } from 'vitest';
import { missesTarget, rotationTime } from '../../src/agent/identity/rotation-time.ts';
import { backoffMs } from '../../src/rpc/backoff.ts';

const HOUR_MS = 3_600_000;
const receivedAt = new Date('2026-01-01T00:00:00Z');
const after = (hours: number) => new Date(receivedAt.getTime() + hours * HOUR_MS);
const hoursOf = (time: Date) => (time.getTime() - receivedAt.getTime()) / HOUR_MS;

test.each([
  ['half of the life', 10, undefined, 5, 5.5],
  ['availability target of a day, life of four (inventory B010)', 96, 86_400, 72, 72],
  ['availability target that the life has no room for', 30, 86_400, 15, 16.5],
  ['no life at all', 0, undefined, 0, 0],
] as const)('%s, less a tenth at most', (_rule, lifeHours, availabilityTargetSeconds, hours, latest) => {
  for (let attempt = 0; attempt < 200; attempt++) {
    const time = hoursOf(rotationTime({ receivedAt, expiresAt: after(lifeHours), availabilityTargetSeconds }));
    expect(time).toBeGreaterThanOrEqual(hours * 0.9);
    expect(time).toBeLessThanOrEqual(latest);
  }
});

test.each([
  ['12 hours are left beside the target', 36, 86_400, false],
  ['less is left', 35, 86_400, true],
  ['there is no target', 1, undefined, false],
] as const)(
  'an SVID whose life has no room for the availability target is told of: %s',
  (_rule, lifeHours, target, expected) => {
    const life = { receivedAt, expiresAt: after(lifeHours), availabilityTargetSeconds: target };
    expect(missesTarget(life)).toBe(expected);
  },
);

test('the time between attempts doubles from a second to a minute', () => {
  const expected = [1, 2, 4, 8, 16, 32, 60, 60];
  for (const [index, seconds] of expected.entries()) {
    const waitSeconds = backoffMs(index + 1) / 1000;
    expect(waitSeconds).toBeGreaterThanOrEqual(seconds * 0.9);
    expect(waitSeconds).toBeLessThanOrEqual(seconds * 1.1);
  }
});
