import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout } from '../setup/checkout.js';
import { runToEnd } from '../setup/run-in-foreground.js';
import { setUp } from '../setup/set-up.js';
import { exitWithReason } from '../setup/set-up-error.js';
import { countResults } from './count-results.js';

const WORKERS = 2;

/**
 * Sets up, runs vitest, and prints as the very last line "N passed, N failed". Where `CI` is `true`, what did not run counts as failed.
 *
 * @param {{ setUpOptions: Parameters<typeof setUp>[0], variables?: () => Record<string, string>, args: readonly string[] }} options
 *   `variables` are vitest's besides ours, asked for once all is set up; `args` go to vitest, too
 */
export async function runTests({ setUpOptions, variables = () => ({}), args }) {
  process.chdir(checkout);
  const runtime = await setUp(setUpOptions).catch((error) => {
    process.on('exit', () => process.stdout.write('0 passed, 1 failed\n'));
    exitWithReason(error);
  });
  const folder = mkdtempSync(join(tmpdir(), 'assayer-test-'));
  const report = join(folder, 'report.json');
  const vitest = join('node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const all = [vitest, 'run', ...reporters, `--maxWorkers=${WORKERS}`, ...args];
  const { code, signal } = await runToEnd(runtime, all, variables());
  const results = countResults(existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined);
  rmSync(folder, { recursive: true, force: true });

  for (const name of results.notRun) process.stdout.write(`not run: ${name}\n`);
  let failed = results.failed;
  if (process.env.CI === 'true') failed += results.notRun.length;
  if (failed === 0 && (code !== 0 || signal !== null)) {
    process.stdout.write(`vitest ended with ${signal ?? `code ${code}`} though no test failed: see above\n`);
    failed = 1;
  }
  process.stdout.write(`${results.passed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}
