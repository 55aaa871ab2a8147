import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TokenBucket } from '../../src/rpc/token-bucket.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout', 'Date'] }));
afterEach(() => void vi.useRealTimers());

const PATIENT = { maxWaitMs: 60_000, signal: new AbortController().signal };

/** Takes, and writes down when. */
function takeAll(bucket: TokenBucket, counts: readonly number[], signal = PATIENT.signal): readonly number[] {
  const times: number[] = [];
  const startedAt = performance.now();
  for (const count of counts) {
    const turn = bucket.take(count, { ...PATIENT, signal });
    const note = () => times.push(Math.round(performance.now() - startedAt));
    if (turn === undefined) note();
    else turn.then(note, () => {});
  }
  return times;
}

test('a burst is let in at once, and the rest in line', async () => {
  const times = takeAll(new TokenBucket(2), [1, 1, 1, 1, 1]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(times).toEqual([0, 0, 500, 1000, 1500]);
});

test('nobody overtakes: a small one waits behind a large one', async () => {
  const bucket = new TokenBucket(10);
  const times = takeAll(bucket, [5, 10, 1]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(times).toEqual([0, 500, 600]);
});

test('rest fills it up to its burst and no further', async () => {
  const bucket = new TokenBucket(4);
  takeAll(bucket, [4]);
  expect(bucket.isIdle).toBe(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(bucket.isIdle).toBe(true);
  const times = takeAll(bucket, [4, 1]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(times).toEqual([0, 250]);
});

test('more than the burst is refused, and costs nothing', () => {
  const bucket = new TokenBucket(500);
  expect(() => bucket.take(501, PATIENT)).toThrow(
    expect.objectContaining({ code: 'RATE_LIMITED', message: expect.stringMatching(/^501 at once .*: 500 a second$/) }),
  );
  expect(bucket.take(500, PATIENT)).toBeUndefined();
});

test('whose turn would come too late is refused at once', async () => {
  const bucket = new TokenBucket(1);
  const times = takeAll(bucket, [1, 1, 1]);
  expect(() => bucket.take(1, { ...PATIENT, maxWaitMs: 2_900 })).toThrow(
    expect.objectContaining({ code: 'RATE_LIMITED', message: expect.stringMatching(/would come in 3\.0 s/) }),
  );
  await vi.advanceTimersByTimeAsync(5_000);
  expect(times).toEqual([0, 1000, 2000]);
});

test('whoever leaves the line is as if never come', async () => {
  const bucket = new TokenBucket(1);
  const impatient = new AbortController();
  takeAll(bucket, [1]);
  const left = bucket.take(1, { ...PATIENT, signal: impatient.signal });
  const times = takeAll(bucket, [1, 1]);
  await vi.advanceTimersByTimeAsync(500);
  const reason = new SpiffeError('CANCELLED', 'gone');
  impatient.abort(reason);
  await expect(left).rejects.toBe(reason);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(times).toEqual([1000, 2000]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect([bucket.isIdle, vi.getTimerCount()]).toEqual([true, 0]);
});

test('whoever has left before he is asked does not wait', async () => {
  const bucket = new TokenBucket(1);
  takeAll(bucket, [1]);
  await expect(bucket.take(1, { ...PATIENT, signal: AbortSignal.abort('gone') })).rejects.toBe('gone');
  expect(bucket.hasLine).toBe(false);
});
