import { quoteText } from '../../../spiffe/quote-text.ts';
import { NotApplicable, type Rule, requireThat } from '../rule.ts';

const LEVELS: readonly unknown[] = ['trace', 'debug', 'info', 'warn', 'error'];
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(?:Z|[+-]\d\d:\d\d)$/;
/** A host splits longer lines. */
const MAX_LINE_CHARACTERS = 64 * 1024;

/** What the plugin wrote to stderr in all that came before. */
export const logRules: readonly Rule[] = [
  {
    id: 'log.records',
    title:
      'gives @message, @level and @timestamp as strings in each record of its log, the time with 6 fraction digits',
    source: '§10',
    level: 'must',
    needs: 'alone',
    async check({ stderr }) {
      const records = stderr.lines.flatMap(findRecord);
      if (records.length === 0) throw new NotApplicable('it wrote no record to its log');
      for (const record of records) requireWellFormed(record);
      return `${records.length} records`;
    },
  },
  {
    id: 'log.line-length',
    title: 'writes no line of more than 64 KiB to its log',
    source: '§10',
    level: 'should',
    needs: 'alone',
    async check({ stderr }) {
      const longest = Math.max(0, ...stderr.lines.map((line) => line.length));
      requireThat(longest <= MAX_LINE_CHARACTERS, 'at most 65536 characters', `${longest} or more`);
      return undefined;
    },
  },
];

/** A line that a host takes for a record of hclog. */
function findRecord(line: string): readonly Readonly<Record<string, unknown>>[] {
  if (!line.startsWith('{') || line.length > MAX_LINE_CHARACTERS) return [];
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
    const record = { ...value };
    return Object.keys(record).some((key) => key.startsWith('@')) ? [record] : [];
  } catch {
    return []; // plain text that begins with a brace
  }
}

function requireWellFormed(record: Readonly<Record<string, unknown>>): void {
  const { '@message': message, '@level': level, '@timestamp': timestamp } = record;
  const shown = quoteText(JSON.stringify(record).slice(0, 200));
  for (const [key, value] of Object.entries({ '@message': message, '@level': level, '@timestamp': timestamp })) {
    requireThat(typeof value === 'string', `${key} as a string`, `${describeType(value)} in ${shown}`);
  }
  requireThat(LEVELS.includes(level), '@level trace, debug, info, warn or error', `${String(level)} in ${shown}`);
  const isTime = typeof timestamp === 'string' && TIMESTAMP.test(timestamp);
  requireThat(isTime, '@timestamp such as 2006-01-02T15:04:05.000000Z', `${String(timestamp)} in ${shown}`);
}

function describeType(value: unknown): string {
  return value === undefined ? 'none' : `a ${typeof value}`;
}
