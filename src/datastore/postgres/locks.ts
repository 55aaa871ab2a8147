import { type RawBuilder, sql } from 'kysely';

/** First keys of advisory locks, "ASY" and a number; the second is the schema, of which a database may have several. */
const SCHEMA = 0x41535901;
const WRITING = 0x41535902;
const LEADING = 0x41535903;

/** Held to look at a schema and change it: servers that start at once do so one after the other. */
export function lockSchema(): RawBuilder<unknown> {
  return sql`select pg_advisory_lock(${sql.lit(SCHEMA)}, hashtext(current_schema()))`;
}

export function unlockSchema(): RawBuilder<unknown> {
  return sql`select pg_advisory_unlock(${sql.lit(SCHEMA)}, hashtext(current_schema()))`;
}

/** Held by every transaction: `step` beside others of its kind, `alone` with no other. */
export function lockForWriting(kind: 'step' | 'alone'): RawBuilder<unknown> {
  const lock = kind === 'step' ? sql`pg_advisory_xact_lock_shared` : sql`pg_advisory_xact_lock`;
  return sql`select ${lock}(${sql.lit(WRITING)}, hashtext(current_schema()))`;
}

/** Held by one connection for as long as it lasts. */
export const TRY_TO_LEAD = `select pg_try_advisory_lock(${LEADING}, hashtext(current_schema())) as leads`;
