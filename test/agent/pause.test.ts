import { expect, test } from 'vitest';
import { steadyOffset, timeFor } from '../../src/agent/identity/steady-time.ts';
import { Pause } from '../../src/agent/sync/pause.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

test.concurrent.each([DAY_MS, -DAY_MS])(
  'a wait of an hour ends soon after the clock was set by %s ms',
  async (byMs) => {
    let setMs = 0;
    const pause = new Pause(() => new Date(Date.now() + setMs));
    const waiting = pause.wait(HOUR_MS, true, new AbortController().signal);
    setMs = byMs;
    await waiting;
  },
);

test('a clock that is set on counts, one that is set back makes nothing younger', () => {
  const receivedAt = new Date();
  const offsetMs = steadyOffset(receivedAt);
  const from = receivedAt.getTime();
  expect(timeFor(offsetMs, new Date(from + DAY_MS)).getTime()).toBe(from + DAY_MS);
  expect(timeFor(offsetMs, new Date(from - DAY_MS)).getTime()).toBeGreaterThanOrEqual(from);
  expect(timeFor(undefined, new Date(from - DAY_MS)).getTime()).toBe(from - DAY_MS);
});
