import { Kysely } from 'kysely';
import type { Engine } from './engine.ts';
import { MIGRATION_TABLE, migrate } from './migrate.ts';
import type { DatastoreSchema } from './schema.ts';
import { NodeSqliteDialect } from './sqlite.ts';
import { copySqliteFile } from './sqlite-backup.ts';
import { openSqliteFile } from './sqlite-file.ts';

export interface SqliteEngineOptions {
  readonly path: string;
  readonly disableMigration: boolean;
  /** Called before each wait for the connection; it throws where that would never end. */
  readonly beforeWaiting: () => void;
}

/** One file that one server uses: transactions take turns by themselves, and there is nobody to tell. */
export async function openSqliteEngine({
  path,
  disableMigration,
  beforeWaiting,
}: SqliteEngineOptions): Promise<Engine> {
  const { database, log, tables } = await openSqliteFile(path);
  try {
    const db = new Kysely<DatastoreSchema>({ dialect: new NodeSqliteDialect({ database, log, beforeWaiting }) });
    const hasHistory = tables.includes(MIGRATION_TABLE);
    const migrationsRun = (await migrate(db, { hasHistory, disabled: disableMigration })).length;
    const transact: Engine['step'] = (work) => db.transaction().execute(work);
    return {
      db,
      migrationsRun,
      place: { path },
      step: transact,
      alone: transact,
      backup: (onProgress) => copySqliteFile(path, onProgress),
      async notify() {},
      follow() {},
      notice: (changed) => changed,
      leads: true,
      [Symbol.asyncDispose]: () => db.destroy(),
    };
  } catch (error) {
    await log?.[Symbol.asyncDispose]();
    database.close();
    throw error;
  }
}
