import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const setup = join(import.meta.dirname, '..', '..', 'scripts', 'setup.js');

// Whoever runs the tests has set up; the first run covers a source that was changed since.
test('set-up with nothing to do is silent and takes less than a second', () => {
  expect(runSetUp().status).toBe(0);
  const { status, output, elapsedMs } = runSetUp();
  expect({ status, output }).toEqual({ status: 0, output: '' });
  expect(elapsedMs).toBeLessThan(1_000);
});

function runSetUp(): { status: number | null; output: string; elapsedMs: number } {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [setup], { encoding: 'utf8', timeout: 110_000 });
  return { status, output: stdout + stderr, elapsedMs: performance.now() - start };
}
