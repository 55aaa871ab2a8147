import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

/** What the evidence of agents came to. */
export const migration0005: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('agent_verdict')
      .addColumn('agent_id', 'text', (c) => c.notNull())
      .addColumn('number', 'bigint', (c) => c.notNull())
      .addColumn('verdict', 'text', (c) => c.notNull())
      .addColumn('reason', 'text', (c) => c.notNull())
      .addColumn('policies', 'text', (c) => c.notNull())
      .addColumn('evidence_sha256', 'text', (c) => c.notNull())
      .addColumn('count', 'bigint', (c) => c.notNull())
      .addColumn('first_at', 'bigint', (c) => c.notNull())
      .addColumn('last_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('agent_verdict_key', ['agent_id', 'number'])
      .execute();
    await db.schema.createIndex('agent_verdict_by_last_at').on('agent_verdict').column('last_at').execute();
  },
};
