import type { Kysely } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { migration0001 } from './migrations/0001-initial.ts';
import { migration0002 } from './migrations/0002-change-sequences.ts';
import { migration0003 } from './migrations/0003-attempts-and-entry-sets.ts';
import { migration0004 } from './migrations/0004-revoked-authorities.ts';
import { migration0005 } from './migrations/0005-agent-verdicts.ts';
import type { DatastoreSchema } from './schema.ts';

/** Append-only: a name that was released never changes, nor does what it does. */
const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-initial': migration0001,
  '0002-change-sequences': migration0002,
  '0003-attempts-and-entry-sets': migration0003,
  '0004-revoked-authorities': migration0004,
  '0005-agent-verdicts': migration0005,
};
export const MIGRATION_TABLE = 'schema_migration';

type MigrationSchema = {
  readonly schema_migration: { readonly name: string };
};

export interface MigrateOptions {
  /** There is a table of migrations, if an empty one. */
  readonly hasHistory: boolean;
  /** Refuse what is not up to date. */
  readonly disabled: boolean;
  /** Where a database has several. */
  readonly schema?: string;
}

/**
 * Brings the schema up to date, in one transaction.
 *
 * @returns the names of the migrations that ran.
 * @throws SpiffeError `DATASTORE_UNUSABLE` for a database of a newer version, or of an older one where migration is disabled
 */
export async function migrate(
  db: Kysely<DatastoreSchema>,
  { hasHistory, disabled, schema }: MigrateOptions,
): Promise<readonly string[]> {
  const known = Object.keys(MIGRATIONS);
  const applied = hasHistory ? await appliedMigrations(db) : [];
  const unknown = applied.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new SpiffeError(
      'DATASTORE_UNUSABLE',
      `datastore was written by a newer version (migration "${unknown}" is not known here): run that version, or restore a backup from before it`,
    );
  }
  if (applied.length === known.length) return [];
  if (disabled) {
    const missing = known.filter((name) => !applied.includes(name));
    throw new SpiffeError(
      'DATASTORE_UNUSABLE',
      `datastore is not up to date (migration "${missing[0]}" has not run), and disable_migration is set: start one server without it first`,
    );
  }

  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => MIGRATIONS },
    migrationTableName: MIGRATION_TABLE,
    migrationLockTableName: 'schema_migration_lock',
    ...(schema === undefined ? {} : { migrationTableSchema: schema }),
  });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error !== undefined) {
    throw new SpiffeError(
      'DATASTORE_UNUSABLE',
      `datastore could not be brought up to date, and is as it was: ${messageOf(error)}`,
      { cause: error },
    );
  }
  return results.map(({ migrationName }) => migrationName);
}

async function appliedMigrations(db: Kysely<DatastoreSchema>): Promise<readonly string[]> {
  const rows = await db.withTables<MigrationSchema>().selectFrom(MIGRATION_TABLE).select('name').execute();
  return rows.map(({ name }) => name);
}
