import { RULE_GROUPS, type RuleGroup, type RuleResult, type Verdict } from '../../src/authoring/conformance/index.ts';
import type { TriedPlugin } from '../../test/authoring/conformance/tried-plugins.ts';

/** One plugin and what became of each rule. */
export interface Column {
  /** Of whose making, in a few words. */
  readonly maker: string;
  readonly plugin: TriedPlugin;
  readonly results: readonly RuleResult[];
}

const CELLS: Readonly<Record<Verdict, string>> = { PASS: 'pass', FAIL: '**fail**', WARN: 'warn', SKIP: '–' };

const INTRODUCTION = `# Conformance

What [\`assayer plugin test\`](plugins/test.md) says of plugins that we know: those that come with Assayer, samples made with our SDK, and
samples in Go made with spire-plugin-sdk 1.15.2 and two versions of go-plugin. Rows are rules, columns are plugins. This page is written by \`npm run conformance\`.

**pass**: the rule is kept. **warn**: what a plugin should do it does not. **–**: the plugin has no such part, or the kit was not given what it needs;
an empty cell: the rule is for other kinds. § is a section of the wire contract; a rule that is not marked *should* has to be kept.
`;

/** The whole page: rules that are for everybody in one table, those of a kind in a table of that kind. */
export function formatTables(columns: readonly Column[]): string {
  const everybody = RULE_GROUPS.filter((group) => columns.every(({ plugin }) => group.isFor(plugin)));
  const others = RULE_GROUPS.filter((group) => !everybody.includes(group));
  const numbers = columns.map((_, index) => String(index + 1));
  return [
    INTRODUCTION,
    '## Plugins\n',
    formatTable(['', 'plugin', 'made by', 'pass', 'warn', '–', 'fail'], columns.map(formatPlugin)),
    '## Rules for every plugin\n',
    'Columns are the numbers of the plugins above.\n',
    formatTable(
      ['rule', 'the plugin …', '§', ...numbers],
      everybody.flatMap((group) => formatRows(group, columns)),
    ),
    ...others.flatMap((group) => formatGroup(group, columns)),
    '## Warnings\n',
    formatWarnings(columns),
  ].join('\n');
}

function formatPlugin({ maker, plugin, results }: Column, index: number): readonly string[] {
  const count = (wanted: Verdict) => String(results.filter(({ verdict }) => verdict === wanted).length);
  return [String(index + 1), plugin.name, maker, count('PASS'), count('WARN'), count('SKIP'), count('FAIL')];
}

function formatGroup(group: RuleGroup, columns: readonly Column[]): readonly string[] {
  const concerned = columns.filter(({ plugin }) => group.isFor(plugin));
  const heads = concerned.map(({ maker, plugin }) => `${plugin.name}, ${maker}`);
  return [`## ${group.title}\n`, formatTable(['rule', 'the plugin …', '§', ...heads], formatRows(group, concerned))];
}

function formatRows({ rules }: RuleGroup, columns: readonly Column[]): readonly (readonly string[])[] {
  return rules.map(({ id, title, source, level }) => [
    `\`${id}\``,
    `${level === 'should' ? '*should:* ' : ''}${title}`,
    source.replaceAll('§', ''),
    ...columns.map(({ results }) => {
      const found = results.find((result) => result.id === id);
      return found === undefined ? '' : CELLS[found.verdict];
    }),
  ]);
}

function formatWarnings(columns: readonly Column[]): string {
  const lines = columns.flatMap(({ maker, plugin, results }) =>
    results
      .filter(({ verdict }) => verdict === 'WARN' || verdict === 'FAIL')
      .map(({ id, reason = '' }) => `- ${plugin.name}, ${maker}: \`${id}\`: ${reason}\n`),
  );
  return lines.length === 0 ? 'None.\n' : lines.join('');
}

function formatTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return [line(heads), `|${'---|'.repeat(heads.length)}\n`, ...rows.map(line)].join('');
}
