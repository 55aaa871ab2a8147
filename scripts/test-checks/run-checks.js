import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { listCheckSites } from '../../test/harness/switch-off-check.ts';
import { COVERED_OTHERWISE, REQUIRED_CHECKS } from './covered-otherwise.js';
import { filesOf, runTests, suiteFiles } from './run-tests.js';

const chosen = process.argv.slice(2);
const all = listCheckSites();
const sites =
  chosen.length === 0 ? all : all.filter(({ check, name }) => chosen.includes(check) || chosen.includes(name));

const missing = REQUIRED_CHECKS.filter((id) => !all.some(({ check }) => check === id) && !(id in COVERED_OTHERWISE));
for (const id of missing) say(`${id}: no call of requireCheck, and no test that covers it otherwise`);
const untested = Object.entries(COVERED_OTHERWISE).filter(
  ([, { file, test }]) => !readFileSync(file, 'utf8').includes(test),
);
for (const [id, { file, test }] of untested) say(`${id}: ${file} has no test "${test}"`);

const start = Date.now();
const baseline = await runTests(suiteFiles());
if (baseline.failed.length > 0 || baseline.isEndless) {
  say(`a test fails with every check in place: ${baseline.failed[0] ?? 'one that does not end'}`);
  process.exit(1);
}
say(`${baseline.passed} tests pass with every check in place; now ${sites.length} calls, one at a time`);

/** @type {string[]} */
const removable = [];
/** @type {Map<string, Set<string>>} */
const testsOf = new Map(REQUIRED_CHECKS.map((id) => [id, new Set()]));
const queue = [...sites];
let done = 0;
await Promise.all(
  Array.from({ length: Math.min(2, availableParallelism()) }, async () => {
    for (let site = queue.shift(); site !== undefined; site = queue.shift()) {
      const files = filesOf(site.check);
      const { failed, isEndless } =
        files.length === 0 ? { failed: [], isEndless: false } : await runTests(files, site.name);
      const [red] = failed;
      done += 1;
      if (red === undefined) removable.push(site.name);
      else testsOf.get(site.check)?.add(red);
      const verdict =
        red ?? (isEndless ? 'A TEST DOES NOT END' : files.length === 0 ? 'NO TEST NAMES IT' : 'NO TEST GOES RED');
      say(
        `${String(done).padStart(3)}/${sites.length}  ${site.name.padEnd(6)} ${`${site.path}:${site.line}`.padEnd(38)} ${verdict}`,
      );
    }
  }),
);

say('');
for (const [id, tests] of testsOf) {
  const { why, test } = COVERED_OTHERWISE[id] ?? {};
  const rows = [...tests, ...(test === undefined ? [] : [`${test} (no check of its own: ${why})`])];
  if (chosen.length === 0 || tests.size > 0) say(`${id.padEnd(4)} ${rows.join(`\n${' '.repeat(5)}`) || 'NO TEST'}`);
}
say('');

const seconds = ((Date.now() - start) / 1000).toFixed(0);
const problems = removable.length + missing.length + untested.length;
say(
  problems === 0
    ? `every check is needed: ${sites.length} calls of ${new Set(sites.map(({ check }) => check)).size} checks, ${seconds} s`
    : `no test goes red without: ${removable.join(', ') || 'none'}; without a check: ${missing.join(', ') || 'none'}; without the test that covers it: ${untested.map(([id]) => id).join(', ') || 'none'}`,
);
process.exitCode = problems === 0 ? 0 : 1;

/** @param {string} line */
function say(line) {
  process.stdout.write(`${line}\n`);
}
