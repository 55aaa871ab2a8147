import type { CreateTableBuilder, Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration0001: Migration = {
  async up(db: Kysely<unknown>) {
    await createBundles(db);
    await createEntries(db);
    await createAgents(db);
    await createServerState(db);
    await createChangeLogs(db);
  },
};

async function createBundles(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('bundle')
    .addColumn('trust_domain', 'text', (c) => c.primaryKey().notNull())
    .addColumn('refresh_hint_seconds', 'bigint', (c) => c.notNull())
    .addColumn('sequence_number', 'text', (c) => c.notNull())
    .execute();
  await partOf(db.schema.createTable('bundle_x509_authority'), 'trust_domain', 'bundle.trust_domain')
    .addColumn('certificate', BYTES, (c) => c.notNull())
    .addColumn('tainted', 'smallint', (c) => c.notNull())
    .addPrimaryKeyConstraint('bundle_x509_authority_pk', ['trust_domain', 'position'])
    .execute();
  await partOf(db.schema.createTable('bundle_jwt_authority'), 'trust_domain', 'bundle.trust_domain')
    .addColumn('key_id', 'text', (c) => c.notNull())
    .addColumn('public_key', BYTES, (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .addColumn('tainted', 'smallint', (c) => c.notNull())
    .addPrimaryKeyConstraint('bundle_jwt_authority_pk', ['trust_domain', 'position'])
    .execute();
}

async function createEntries(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('registration_entry')
    .addColumn('id', 'text', (c) => c.primaryKey().notNull())
    .addColumn('identity_hash', 'text', (c) => c.notNull().unique())
    .addColumn('parent_id', 'text', (c) => c.notNull())
    .addColumn('spiffe_id', 'text', (c) => c.notNull())
    .addColumn('x509_svid_ttl_seconds', 'bigint', (c) => c.notNull())
    .addColumn('jwt_svid_ttl_seconds', 'bigint', (c) => c.notNull())
    .addColumn('admin', 'smallint', (c) => c.notNull())
    .addColumn('downstream', 'smallint', (c) => c.notNull())
    .addColumn('store_svid', 'smallint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .addColumn('hint', 'text', (c) => c.notNull())
    .addColumn('revision_number', 'bigint', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('jwt_svid_include_jti', 'smallint', (c) => c.notNull())
    .addColumn('disable_x509_svid_prefetch', 'smallint', (c) => c.notNull())
    .execute();
  await index(db, 'registration_entry', ['parent_id', 'id']);
  await index(db, 'registration_entry', ['spiffe_id', 'id']);
  await index(db, 'registration_entry', ['expires_at']);

  await partOf(db.schema.createTable('entry_selector'), 'entry_id', 'registration_entry.id')
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('entry_selector_pk', ['entry_id', 'type', 'value'])
    .execute();
  await index(db, 'entry_selector', ['type', 'value', 'entry_id']);
  await partOf(db.schema.createTable('entry_dns_name'), 'entry_id', 'registration_entry.id')
    .addColumn('dns_name', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('entry_dns_name_pk', ['entry_id', 'position'])
    .execute();
  await partOf(db.schema.createTable('entry_federates_with'), 'entry_id', 'registration_entry.id')
    .addColumn('trust_domain', 'text', (c) => c.notNull().references('bundle.trust_domain'))
    .addPrimaryKeyConstraint('entry_federates_with_pk', ['entry_id', 'trust_domain'])
    .execute();
  await index(db, 'entry_federates_with', ['trust_domain', 'entry_id']);
}

async function createAgents(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('agent')
    .addColumn('spiffe_id', 'text', (c) => c.primaryKey().notNull())
    .addColumn('attestation_type', 'text', (c) => c.notNull())
    .addColumn('serial_number', 'text', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .addColumn('new_serial_number', 'text', (c) => c.notNull())
    .addColumn('new_expires_at', 'bigint', (c) => c.notNull())
    .addColumn('banned', 'smallint', (c) => c.notNull())
    .addColumn('can_reattest', 'smallint', (c) => c.notNull())
    .addColumn('agent_version', 'text', (c) => c.notNull())
    .addColumn('last_seen_at', 'bigint', (c) => c.notNull())
    .execute();
  await index(db, 'agent', ['expires_at']);
  await partOf(db.schema.createTable('agent_selector'), 'spiffe_id', 'agent.spiffe_id')
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('agent_selector_pk', ['spiffe_id', 'type', 'value'])
    .execute();
  await index(db, 'agent_selector', ['type', 'value', 'spiffe_id']);
}

async function createServerState(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('join_token')
    .addColumn('token_hash', 'text', (c) => c.primaryKey().notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('ca_journal')
    .addColumn('name', 'text', (c) => c.primaryKey().notNull())
    .addColumn('active_x509_authority_id', 'text', (c) => c.notNull())
    .addColumn('data', BYTES, (c) => c.notNull())
    .addColumn('version', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
  await index(db, 'ca_journal', ['active_x509_authority_id']);
  await db.schema
    .createTable('federation_relationship')
    .addColumn('trust_domain', 'text', (c) => c.primaryKey().notNull())
    .addColumn('bundle_endpoint_url', 'text', (c) => c.notNull())
    .addColumn('bundle_endpoint_profile', 'text', (c) => c.notNull())
    .addColumn('endpoint_spiffe_id', 'text', (c) => c.notNull())
    .execute();
}

async function createChangeLogs(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('change_log')
    .addColumn('name', 'text', (c) => c.primaryKey().notNull())
    .addColumn('last_sequence', 'bigint', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema
    .createTable('change_event')
    .addColumn('log', 'text', (c) => c.notNull().references('change_log.name'))
    .addColumn('sequence', 'bigint', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('change_event_pk', ['log', 'sequence'])
    .execute();
  await index(db, 'change_event', ['log', 'created_at']);
  const logs = db.withTables<{ change_log: { name: string } }>();
  await logs
    .insertInto('change_log')
    .values([{ name: 'entry' }, { name: 'agent' }])
    .execute();
}

/** PostgreSQL's name of the type; SQLite stores a blob as it is in a column of any type it does not know. */
const BYTES = 'bytea';

/** An ordered list that belongs to a row and goes with it. */
function partOf(table: CreateTableBuilder<string>, column: string, owner: string) {
  return table
    .addColumn(column, 'text', (c) => c.notNull().references(owner).onDelete('cascade'))
    .addColumn('position', 'bigint', (c) => c.notNull());
}

async function index(db: Kysely<unknown>, table: string, columns: string[]): Promise<void> {
  await db.schema.createIndex(`${table}_by_${columns[0]}`).on(table).columns(columns).execute();
}
