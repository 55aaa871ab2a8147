import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

/** Who tried to attest, and which entries were made from files. */
export const migration0003: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('attestation_attempt')
      .addColumn('id', 'text', (c) => c.primaryKey().notNull())
      .addColumn('attestation_type', 'text', (c) => c.notNull())
      .addColumn('address', 'text', (c) => c.notNull())
      .addColumn('agent_id', 'text', (c) => c.notNull())
      .addColumn('attested', 'smallint', (c) => c.notNull())
      .addColumn('reason', 'text', (c) => c.notNull())
      .addColumn('count', 'bigint', (c) => c.notNull())
      .addColumn('first_at', 'bigint', (c) => c.notNull())
      .addColumn('last_at', 'bigint', (c) => c.notNull())
      .execute();
    await db.schema
      .createIndex('attestation_attempt_by_attested')
      .on('attestation_attempt')
      .columns(['attested', 'last_at', 'id'])
      .execute();
    await db.schema
      .createTable('entry_set_member')
      .addColumn('entry_id', 'text', (c) =>
        c.primaryKey().notNull().references('registration_entry.id').onDelete('cascade'),
      )
      .addColumn('set_name', 'text', (c) => c.notNull())
      .execute();
    await db.schema.createIndex('entry_set_member_by_set_name').on('entry_set_member').column('set_name').execute();
  },
};
