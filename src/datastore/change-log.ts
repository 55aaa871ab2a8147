import type { Kysely } from 'kysely';
import type { ChangedLog } from './changes.ts';
import { PreparedQuery } from './prepared-query.ts';
import type { DatastoreSchema } from './schema.ts';

/**
 * Moves a log on by `count`, and locks its row until the transaction ends: sequences have no gaps, and whoever sees
 * one sees all before it.
 *
 * @returns the sequence that it has reached.
 */
export async function advanceLog(db: Kysely<DatastoreSchema>, log: ChangedLog, count: number): Promise<number> {
  return sequenceOf(log, await advancedLog.run(db, [count, log]));
}

/** The sequence that a log has reached. */
export async function readLog(db: Kysely<DatastoreSchema>, log: ChangedLog): Promise<number> {
  return sequenceOf(log, await logByName.run(db, [log]));
}

function sequenceOf(log: ChangedLog, [row]: readonly { readonly last_sequence: number }[]): number {
  if (row === undefined) throw new Error(`there is no log of changes "${log}"`);
  return row.last_sequence;
}

const logByName = new PreparedQuery((db) =>
  db.selectFrom('change_log').select('last_sequence').where('name', '=', 'entry'),
);

const advancedLog = new PreparedQuery((db) =>
  db
    .updateTable('change_log')
    .set((eb) => ({ last_sequence: eb('last_sequence', '+', 1) }))
    .where('name', '=', 'entry')
    .returning('last_sequence'),
);

/** The sequence that each log has reached. */
export async function readLogs(db: Kysely<DatastoreSchema>): Promise<ReadonlyMap<ChangedLog, number>> {
  const rows = await db.selectFrom('change_log').selectAll().$narrowType<{ name: ChangedLog }>().execute();
  return new Map(rows.map(({ name, last_sequence }) => [name, last_sequence]));
}
