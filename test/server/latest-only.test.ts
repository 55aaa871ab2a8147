import { expect, test } from 'vitest';
import { LatestOnly } from '../../src/server/latest-only.ts';

const WAIT = { timeout: 20_000, interval: 10 };

test('works on one at a time, and of those that waited on the last only', async () => {
  const begun: { value: string; finish: () => void }[] = [];
  await using latest = new LatestOnly<string>({
    work: (value) => new Promise((resolve) => begun.push({ value, finish: resolve })),
    onFailure: () => {},
  });
  latest.give('a');
  await expect.poll(() => begun.map(({ value }) => value), WAIT).toEqual(['a']);
  latest.give('b');
  latest.give('c');
  begun[0]?.finish();
  await expect.poll(() => begun.map(({ value }) => value), WAIT).toEqual(['a', 'c']);
  begun[1]?.finish();
});

test('tries again what failed, with longer and longer pauses, until it goes well', async () => {
  const failures: (number | undefined)[] = [];
  let attempts = 0;
  await using latest = new LatestOnly<string>({
    work: async () => {
      attempts += 1;
      if (attempts < 4) throw new Error('no');
    },
    onFailure: (reason, retryMs) => failures.push(reason === 'no' ? retryMs : -1),
    retry: { firstMs: 5, longestMs: 8 },
  });
  latest.give('a');
  await expect.poll(() => attempts, WAIT).toBe(4);
  expect(failures).toEqual([5, 8, 8]);
});

test('tries nothing again that is outdated, or where that is not wanted', async () => {
  const tried: string[] = [];
  const failures: (number | undefined)[] = [];
  await using latest = new LatestOnly<string>({
    work: async (value) => {
      tried.push(value);
      if (value === 'a') {
        latest.give('b');
        throw new Error('no');
      }
    },
    onFailure: (_reason, retryMs) => failures.push(retryMs),
    retry: { firstMs: 1, longestMs: 1 },
  });
  latest.give('a');
  await expect.poll(() => tried, WAIT).toEqual(['a', 'b']);
  expect(failures).toEqual([undefined]);
});

test('a new one does not wait for the pause of the one before', async () => {
  const tried: string[] = [];
  await using latest = new LatestOnly<string>({
    work: async (value) => {
      tried.push(value);
      if (value === 'a') throw new Error('no');
    },
    onFailure: () => latest.give('b'),
    retry: { firstMs: 3_600_000, longestMs: 3_600_000 },
  });
  latest.give('a');
  await expect.poll(() => tried, WAIT).toEqual(['a', 'b']);
});

test('disposing gives up what runs', async () => {
  let aborted: boolean | undefined;
  const latest = new LatestOnly<string>({
    work: (_value, signal) =>
      new Promise((resolve) => {
        aborted = false;
        signal.addEventListener('abort', () => {
          aborted = true;
          resolve();
        });
      }),
    onFailure: () => {},
  });
  latest.give('a');
  await expect.poll(() => aborted, WAIT).toBe(false);
  await latest[Symbol.asyncDispose]();
  expect(aborted).toBe(true);
  latest.give('b'); // nothing comes of it
});
