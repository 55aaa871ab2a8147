// What has to be clean before a commit: generated code, types, lint, addons, tests (not with --no-tests).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from './generate/generate.js';
import { checkout } from './setup/checkout.js';
import { runToEnd } from './setup/run-in-foreground.js';
import { setUp } from './setup/set-up.js';
import { exitWithReason } from './setup/set-up-error.js';

process.chdir(checkout);
const runtime = await setUp({ forTests: true }).catch(exitWithReason); // compiles the addons with -Werror
const ownNode =
  (script, ...args) =>
  async () =>
    (await runToEnd(runtime, [script, ...args])).code === 0;

const checks = {
  'src/gen is what proto/ says': isGeneratedCodeFresh,
  'the types hold': ownNode('node_modules/typescript/bin/tsc', '--noEmit'),
  'the style holds': ownNode('node_modules/@biomejs/biome/bin/biome', 'check', '.'),
};
if (!process.argv.includes('--no-tests')) checks['the tests pass'] = ownNode('scripts/test.js');

for (const [claim, check] of Object.entries(checks)) {
  const start = Date.now();
  if (await check()) {
    process.stderr.write(`check: ${claim} (${((Date.now() - start) / 1000).toFixed(1)} s)\n`);
  } else {
    process.stderr.write(`check: not so: ${claim}\n`);
    process.exitCode = 1;
  }
}

/** Generates into a folder of its own, so that nothing that runs sees half of it. */
function isGeneratedCodeFresh() {
  const folder = mkdtempSync(join(tmpdir(), 'assayer-generated-'));
  try {
    generate(folder);
    execFileSync('diff', ['-r', join(folder, 'src', 'gen'), join('src', 'gen')], { stdio: 'inherit' });
    return true;
  } catch {
    process.stderr.write('check: run "npm run generate" and commit what it writes\n');
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
