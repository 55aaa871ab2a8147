import { type Kysely, sql } from 'kysely';
import type { ChangedLog, Changes } from './changes.ts';
import type { DatastoreSchema } from './schema.ts';

/** What a repository works with: a database, or one transaction of it. */
export interface Session {
  readonly db: Kysely<DatastoreSchema>;
  /** Unix seconds. */
  readonly now: () => number;
  readonly changes: Changes;
  /** What the open transaction has changed. */
  readonly changed: Set<ChangedLog>;
}

/** Runs `work` as a whole or not at all: in a transaction of its own, or as a step of the one that is open. */
export async function atomically<T>(session: Session, work: (session: Session) => Promise<T>): Promise<T> {
  if (!session.db.isTransaction) return inTransaction(session, work);
  await sql`savepoint step`.execute(session.db);
  try {
    const result = await work(session);
    await sql`release savepoint step`.execute(session.db);
    return result;
  } catch (error) {
    await sql`rollback to savepoint step`.execute(session.db);
    await sql`release savepoint step`.execute(session.db);
    throw error;
  }
}

/** Runs `work` in a transaction of its own, and tells what it changed once that is stored. */
export async function inTransaction<T>(session: Session, work: (session: Session) => Promise<T>): Promise<T> {
  const changed = new Set<ChangedLog>();
  const result = await session.db.transaction().execute((db) => work({ ...session, db, changed }));
  session.changes.announce(changed);
  return result;
}

/** Rows of one statement at most: both engines limit its parameters, SQLite to 32766. */
const CHUNK_SIZE = 1000;

/** Parts that fit into one statement. */
export function* chunksOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += CHUNK_SIZE) yield items.slice(start, start + CHUNK_SIZE);
}

export function toFlag(value: boolean): number {
  return value ? 1 : 0;
}
