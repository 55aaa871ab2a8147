import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

/** Bundles and CA journals get a sequence too, so that servers which share a database see that they changed. */
export const migration0002: Migration = {
  async up(db: Kysely<unknown>) {
    await db
      .withTables<{ change_log: { name: string } }>()
      .insertInto('change_log')
      .values([{ name: 'bundle' }, { name: 'authority' }])
      .execute();
  },
};
