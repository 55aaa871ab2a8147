import type { Command } from './command.ts';
import type { Flag } from './flags.ts';

/** The answer to `-h` for one command. */
export function formatUsage(words: string, { summary, flags, operands }: Command): string {
  const names = Object.keys(flags).toSorted((a, b) => a.localeCompare(b));
  const rows = names.flatMap((name) => {
    const flag = flags[name];
    return flag === undefined ? [] : [[flagHead(name, flag), `${flag.summary}${defaultOf(flag)}`] as const];
  });
  const usage = ['assayer', words, rows.length === 0 ? '' : '[flags]', operands ?? ''].filter(Boolean).join(' ');
  const lines = [`${summary}.`, '', `Usage: ${usage}`];
  if (rows.length > 0) lines.push('', 'Flags, with one dash or two:', ...formatRows(rows));
  return `${lines.join('\n')}\n`;
}

/** The commands below some words, one a line with its summary. */
export function formatOverview(words: string, commands: readonly (readonly [string, Command])[]): string {
  const rows = commands.map(([name, { summary }]) => [name, summary] as const);
  const usage = ['assayer', words, '<command> [flags]'].filter(Boolean).join(' ');
  return `${[`Usage: ${usage}`, '', 'Commands:', ...formatRows(rows), '', 'Each takes -h for its flags.'].join('\n')}\n`;
}

function flagHead(name: string, { valueName }: Flag<unknown>): string {
  return valueName === undefined ? `-${name}` : `-${name} ${valueName}`;
}

function defaultOf({ initial, initialText }: Flag<unknown>): string {
  if (typeof initial === 'string' && initial !== '') return ` (default ${initial})`;
  if (typeof initial !== 'number' || initial === 0) return '';
  return ` (default ${initialText ?? initial})`;
}

function formatRows(rows: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(...rows.map(([head]) => head.length));
  return rows.map(([head, text]) => `  ${head.padEnd(width)}  ${text}`);
}
