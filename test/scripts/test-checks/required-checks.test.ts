import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listCheckSites } from '../../harness/switch-off-check.ts';

interface Lists {
  readonly COVERED_OTHERWISE: Readonly<Record<string, unknown>>;
  readonly REQUIRED_CHECKS: readonly string[];
}
const root = join(import.meta.dirname, '..', '..', '..');
const scripts = join(root, 'scripts', 'test-checks');
const { COVERED_OTHERWISE, REQUIRED_CHECKS }: Lists = await import(join(scripts, 'covered-otherwise.js'));
const { filesOf }: { filesOf(check: string): readonly string[] } = await import(join(scripts, 'run-tests.js'));

const docs = ['plugins/tpm.md', 'plugins/tpm-devid.md', 'event-log.md', 'measured-boot.md']
  .map((name) => readFileSync(`${root}/docs/${name}`, 'utf8'))
  .join('\n');
const made = new Set(listCheckSites().map(({ check }) => check));

describe.each(REQUIRED_CHECKS)('%s', (check) => {
  test('is made somewhere, or covered otherwise, and a test names it', () => {
    expect([check, made.has(check) || check in COVERED_OTHERWISE]).toEqual([check, true]);
    expect(filesOf(check)).not.toEqual([]);
  });

  test('is explained to operators', () => {
    expect(docs).toMatch(new RegExp(`\\b${check}\\b`));
  });
});

test('no other number is made', () => {
  expect([...made].filter((check) => !REQUIRED_CHECKS.includes(check))).toEqual([]);
});
