import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const setup = join(import.meta.dirname, '..', '..', 'scripts', 'setup.js');

// Whoever runs the tests has set up; the first run covers a source that was changed since.
test('set-up with nothing to do is silent', () => {
  expect(runSetUp().status).toBe(0);
  expect(runSetUp()).toEqual({ status: 0, output: '' });
});

function runSetUp(): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [setup], { encoding: 'utf8', timeout: 110_000 });
  return { status, output: stdout + stderr };
}
