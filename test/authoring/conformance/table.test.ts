import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RULE_GROUPS } from '../../../src/authoring/conformance/index.ts';
import { GO_PLUGINS, OUR_PLUGINS, SDK_PLUGINS } from './tried-plugins.ts';

const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'conformance.md'), 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| '));

test('the page has the rules of the kit, each once, with its title', () => {
  const wanted = RULE_GROUPS.flatMap(({ rules }) =>
    rules.map(
      ({ id, title, level }) =>
        `| \`${id}\` | ${level === 'should' ? '*should:* ' : ''}${title.replaceAll('|', '\\|')} |`,
    ),
  );
  const found = rows.flatMap((row) => /^\| `[^`]+` \| (?:[^|\\]|\\.)* \|/.exec(row)?.[0] ?? []);
  expect(found.toSorted()).toEqual(wanted.toSorted());
});

test('the page has the plugins that the kit is run on', () => {
  const wanted = [OUR_PLUGINS, SDK_PLUGINS, GO_PLUGINS('1.4.0'), GO_PLUGINS('1.8.0')].flat().map(({ name }) => name);
  const found = rows.flatMap((row) => /^\| \d+ \| ([^|]+) \|/.exec(row)?.[1] ?? []);
  expect(found).toEqual(wanted);
});

test('no rule fails', () => {
  expect(page).not.toContain('**fail**');
});
