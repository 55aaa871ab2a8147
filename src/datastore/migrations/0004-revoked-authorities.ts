import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

/** Which authorities were revoked, so that nobody but an administrator brings them back. */
export const migration0004: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('revoked_authority')
      .addColumn('trust_domain', 'text', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('expires_at', 'bigint', (c) => c.notNull())
      .addPrimaryKeyConstraint('revoked_authority_key', ['trust_domain', 'kind', 'name'])
      .execute();
  },
};
