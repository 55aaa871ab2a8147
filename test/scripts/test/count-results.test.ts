import { join } from 'node:path';
import { expect, test } from 'vitest';

interface Results {
  readonly passed: number;
  readonly failed: number;
  readonly notRun: readonly string[];
}
const script = join(import.meta.dirname, '..', '..', '..', 'scripts', 'test', 'count-results.js');
const { countResults }: { countResults(report: unknown): Results } = await import(script);

const outcome = (fullName: string, status: string) => ({ fullName, status });
const file = (status: string, ...assertionResults: unknown[]) => ({ name: 'a.test.ts', status, assertionResults });

const reports = [
  ['no report at all', undefined, { passed: 0, failed: 1, notRun: [] }],
  ['no file', [], { passed: 0, failed: 0, notRun: [] }],
  ['a file that passed', [file('passed', outcome('a', 'passed'))], { passed: 1, failed: 0, notRun: [] }],
  [
    'a failed test beside a passed one',
    [file('failed', outcome('a', 'passed'), outcome('b', 'failed'))],
    { passed: 1, failed: 1, notRun: [] },
  ],
  ['a file that does not load', [file('failed')], { passed: 0, failed: 1, notRun: [] }],
  [
    'a file whose clean-up broke',
    [file('failed', outcome('a', 'passed')), file('passed', outcome('b', 'passed'))],
    { passed: 2, failed: 1, notRun: [] },
  ],
  [
    'tests that did not run',
    [file('passed', outcome('a', 'skipped'), outcome('b', 'pending'), outcome('c', 'todo'), outcome('d', 'passed'))],
    { passed: 1, failed: 0, notRun: ['a', 'b', 'c'] },
  ],
] as const;
test.each(reports)('counts %s', (_case, testResults, results) => {
  expect(countResults(testResults && { testResults })).toEqual(results);
});
