import { chunksOf, type Session } from './session.ts';

/** Which entries were made from files, and for which set of them. An entry that is deleted leaves its set. */
export class EntrySetRepository {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** IDs of the entries of a set. */
  async members(set: string): Promise<readonly string[]> {
    const rows = await this.#session.db
      .selectFrom('entry_set_member')
      .select('entry_id')
      .where('set_name', '=', set)
      .orderBy('entry_id')
      .execute();
    return rows.map(({ entry_id }) => entry_id);
  }

  /** The sets of those of `ids` that have one. */
  async setsOf(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const sets = new Map<string, string>();
    for (const chunk of chunksOf(ids)) {
      const rows = await this.#session.db
        .selectFrom('entry_set_member')
        .selectAll()
        .where('entry_id', 'in', chunk)
        .execute();
      for (const { entry_id, set_name } of rows) sets.set(entry_id, set_name);
    }
    return sets;
  }

  /** @param ids of entries that are of no set */
  async add(set: string, ids: readonly string[]): Promise<void> {
    for (const chunk of chunksOf(ids)) {
      const rows = chunk.map((entry_id) => ({ entry_id, set_name: set }));
      await this.#session.db.insertInto('entry_set_member').values(rows).execute();
    }
  }
}
