// Loaded before a program (`node --import`): ends it as SIGKILL does, before the n-th statement that writes, counted from
// when the file ARMED_BY exists; with KILL=after, behind it. SQLite and PostgreSQL alike; the program knows nothing of it.
import { appendFileSync, existsSync } from 'node:fs';
import { StatementSync } from 'node:sqlite';
import pg from 'pg';

const { ARMED_BY = '', KILL = 'before', KILL_AT = '0' } = process.env;
const READS = /^\s*(select|pragma|begin|start transaction|set|show|explain|listen|savepoint|release|with)\b/i;
let count = 0;

/** @returns whether this statement is the one, and the program ends behind it. */
function isTheOne(sql: string): boolean {
  if (READS.test(sql) || !existsSync(ARMED_BY)) return false;
  count += 1;
  appendFileSync(ARMED_BY, `${sql.slice(0, 60).replaceAll('\n', ' ')}\n`);
  if (count !== Number(KILL_AT)) return false;
  if (KILL === 'before') process.kill(process.pid, 'SIGKILL');
  return true;
}

function end(): void {
  process.kill(process.pid, 'SIGKILL');
}

for (const name of ['run', 'all', 'get'] as const) {
  const original: (this: StatementSync, ...values: never[]) => unknown = StatementSync.prototype[name];
  StatementSync.prototype[name] = function killing(this: StatementSync, ...values: never[]) {
    const isLast = isTheOne(this.sourceSQL);
    const result = original.apply(this, values);
    if (isLast) end();
    return result;
  } as never;
}

const query: (...parameters: never[]) => unknown = pg.Client.prototype.query;
pg.Client.prototype.query = function killing(this: pg.Client, ...parameters: never[]) {
  const [first] = parameters as readonly (string | { readonly text?: string })[];
  const isLast = isTheOne(typeof first === 'string' ? first : (first?.text ?? ''));
  const result = query.apply(this, parameters);
  if (isLast) void Promise.resolve(result).finally(end);
  return result;
} as never;
