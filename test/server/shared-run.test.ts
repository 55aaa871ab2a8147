import { expect, test } from 'vitest';
import { SharedRun } from '../../src/server/shared-run.ts';

/** Work that ends when it is told to. */
function controlledRun() {
  const runs: PromiseWithResolvers<void>[] = [];
  const shared = new SharedRun(() => {
    const run = Promise.withResolvers<void>();
    runs.push(run);
    return run.promise;
  });
  return { shared, runs };
}

test('whoever asks while a run is under way shares the next one, which begins at its end', async () => {
  const { shared, runs } = controlledRun();
  const first = shared.run();
  await expect.poll(() => runs).toHaveLength(1);
  const [second, third] = [shared.run(), shared.run()];
  expect(runs).toHaveLength(1);
  runs[0]?.resolve();
  await first;
  await expect.poll(() => runs).toHaveLength(2);
  runs[1]?.resolve();
  await Promise.all([second, third]);
  expect(runs).toHaveLength(2);
});

test('a failure is for those who shared the run, and the next one begins all the same', async () => {
  const { shared, runs } = controlledRun();
  const failing = shared.run();
  await expect.poll(() => runs).toHaveLength(1);
  const next = shared.run();
  runs[0]?.reject(new Error('no'));
  await expect(failing).rejects.toThrow('no');
  await expect.poll(() => runs).toHaveLength(2);
  runs[1]?.resolve();
  await next;
});
