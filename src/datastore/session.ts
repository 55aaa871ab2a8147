import { CompiledQuery, type Kysely } from 'kysely';
import { advanceLog } from './change-log.ts';
import type { ChangedLog, ChangedLogs, Changes } from './changes.ts';
import type { Engine } from './engine.ts';
import type { DatastoreSchema } from './schema.ts';

/** What a repository works with: a database, or one transaction of it. */
export interface Session {
  readonly db: Kysely<DatastoreSchema>;
  readonly engine: Engine;
  /** Unix seconds. */
  readonly now: () => number;
  readonly changes: Changes;
  /** What the open transaction has changed; a log that has no events of its own moves on at the end, from 0. */
  readonly changed: Map<ChangedLog, number>;
}

const SAVEPOINT = CompiledQuery.raw('savepoint step');
const RELEASE = CompiledQuery.raw('release savepoint step');
const ROLLBACK = CompiledQuery.raw('rollback to savepoint step');

/** Runs `work` as a whole or not at all: in a transaction of its own, or as a step of the one that is open. */
export async function atomically<T>(session: Session, work: (session: Session) => Promise<T>): Promise<T> {
  if (!session.db.isTransaction) return inTransaction(session, 'step', work);
  const changedBefore = [...session.changed];
  await session.db.executeQuery(SAVEPOINT);
  try {
    const result = await work(session);
    await session.db.executeQuery(RELEASE);
    return result;
  } catch (error) {
    await session.db.executeQuery(ROLLBACK);
    await session.db.executeQuery(RELEASE);
    session.changed.clear();
    for (const [log, sequence] of changedBefore) session.changed.set(log, sequence);
    throw error;
  }
}

/** Runs `work` in a transaction of its own, and tells what it changed once that is stored. */
export async function inTransaction<T>(
  session: Session,
  kind: 'step' | 'alone',
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const { engine, changes } = session;
  const { result, changed } = await engine[kind](async (db) => {
    const changed = new Map<ChangedLog, number>();
    const result = await work({ ...session, db, changed });
    return { result, changed: await closeLogs(session, db, changed) };
  });
  changes.announce(engine.notice(changed));
  return result;
}

async function closeLogs(
  { engine }: Session,
  db: Kysely<DatastoreSchema>,
  changed: Map<ChangedLog, number>,
): Promise<ChangedLogs> {
  for (const [log, sequence] of changed) {
    if (sequence === 0) changed.set(log, await advanceLog(db, log, 1));
  }
  if (changed.size > 0) await engine.notify(db, changed);
  return changed;
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
