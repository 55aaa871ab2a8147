import { type Kysely, sql } from 'kysely';
import { SpiffeError } from '../../spiffe/error.ts';
import { MIGRATION_TABLE } from '../migrate.ts';
import type { DatastoreSchema } from '../schema.ts';

/** PostgreSQL 14: the oldest that is still kept up as this is written. */
const OLDEST_VERSION = 140_000;

export interface FoundDatabase {
  readonly hasHistory: boolean;
  readonly schema: string;
  /** Of the schema: what servers share by name has this number in it. */
  readonly schemaOid: number;
}

/**
 * Looks at a database before anything in it is changed.
 *
 * @throws SpiffeError `DATASTORE_UNUSABLE` for one that is too old, of another encoding, or belongs to another program
 */
export async function requireOurs(db: Kysely<DatastoreSchema>): Promise<FoundDatabase> {
  const { rows } = await sql<{ version: string; encoding: string; schema: string | null; oid: string | null }>`
    select current_setting('server_version_num') as version, current_setting('server_encoding') as encoding,
      current_schema() as schema, current_schema()::regnamespace::oid::text as oid`.execute(db);
  const [found] = rows;
  if (found === undefined) throw new SpiffeError('INTERNAL', 'datastore does not say what it is');
  if (Number(found.version) < OLDEST_VERSION) {
    throw unusable(`datastore is PostgreSQL ${Math.floor(Number(found.version) / 10_000)}: use 14 or later`);
  }
  if (found.encoding !== 'UTF8') {
    throw unusable(`datastore has encoding ${found.encoding}: create the database with encoding UTF8`);
  }
  if (found.schema === null || found.oid === null) {
    throw unusable('datastore has no schema to use: create one, or correct search_path in connection_string');
  }
  const tables = await tablesOf(db, found.schema);
  const hasHistory = tables.includes(MIGRATION_TABLE);
  if (tables.includes('registered_entries') || tables.includes('attested_node_entries')) {
    throw unusable(
      "datastore is a SPIRE server's: it stays untouched, so name another database or schema in connection_string and create the entries there again (spire-server entry show -output json lists them)",
    );
  }
  if (tables.length > 0 && !hasHistory) {
    throw unusable(
      `datastore belongs to another program (it has a table "${tables[0]}"): name another database or schema in connection_string`,
    );
  }
  return { hasHistory, schema: found.schema, schemaOid: Number(found.oid) };
}

async function tablesOf(db: Kysely<DatastoreSchema>, schema: string): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select tablename::text as name from pg_tables where schemaname = ${schema} order by tablename`.execute(db);
  return rows.map(({ name }) => name);
}

function unusable(message: string): SpiffeError {
  return new SpiffeError('DATASTORE_UNUSABLE', message);
}
