import { SpiffeError } from '../spiffe/error.ts';
import type { DatastoreSchema } from './schema.ts';
import { atomically, type Session } from './session.ts';

/** What a server remembers of its authorities, one opaque record for each server. */
export interface CaJournal {
  /** Of the server, or of its key manager. */
  readonly name: string;
  /** Hex subject key ID; empty: none is active yet. */
  readonly activeX509AuthorityId: string;
  readonly data: Uint8Array;
  /** 1 at first, +1 at each write. */
  readonly version: number;
  /** Unix seconds. */
  readonly updatedAt: number;
}

type JournalRow = DatastoreSchema['ca_journal'];

export class CaJournalRepository {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async find(name: string): Promise<CaJournal | undefined> {
    const row = await this.#session.db.selectFrom('ca_journal').selectAll().where('name', '=', name).executeTakeFirst();
    return row === undefined ? undefined : toJournal(row);
  }

  /** The latest, should several servers have named the same authority. */
  async findByActiveX509Authority(id: string): Promise<CaJournal | undefined> {
    const row = await this.#session.db
      .selectFrom('ca_journal')
      .selectAll()
      .where('active_x509_authority_id', '=', id)
      .orderBy('updated_at', 'desc')
      .orderBy('name')
      .limit(1)
      .executeTakeFirst();
    return row === undefined ? undefined : toJournal(row);
  }

  /** In the order of names. */
  async list(): Promise<readonly CaJournal[]> {
    const rows = await this.#session.db.selectFrom('ca_journal').selectAll().orderBy('name').execute();
    return rows.map(toJournal);
  }

  /**
   * Creates (`version` 0) or replaces the record of that version, whole.
   *
   * @returns the record with its new version.
   * @throws SpiffeError `FAILED_PRECONDITION` when the stored version is another one
   */
  async set(journal: Omit<CaJournal, 'updatedAt'>): Promise<CaJournal> {
    return atomically(this.#session, async (session) => {
      const written = await write(session, journal);
      session.changed.set('authority', 0);
      return toJournal(written);
    });
  }

  /** A record that is gone is let pass. */
  async delete(name: string): Promise<void> {
    await atomically(this.#session, async ({ db, changed }) => {
      const { numDeletedRows } = await db.deleteFrom('ca_journal').where('name', '=', name).executeTakeFirst();
      if (numDeletedRows > 0n) changed.set('authority', 0);
    });
  }
}

async function write({ db, now }: Session, journal: Omit<CaJournal, 'updatedAt'>): Promise<JournalRow> {
  const content = {
    active_x509_authority_id: journal.activeX509AuthorityId,
    data: journal.data,
    version: journal.version + 1,
    updated_at: now(),
  };
  const written =
    journal.version === 0
      ? await db
          .insertInto('ca_journal')
          .values({ name: journal.name, ...content })
          .onConflict((conflict) => conflict.doNothing())
          .returningAll()
          .executeTakeFirst()
      : await db
          .updateTable('ca_journal')
          .set(content)
          .where('name', '=', journal.name)
          .where('version', '=', journal.version)
          .returningAll()
          .executeTakeFirst();
  if (written === undefined) {
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `CA journal "${journal.name}" is not at version ${journal.version}: another server wrote it, so read it again`,
    );
  }
  return written;
}

function toJournal(row: JournalRow): CaJournal {
  return {
    name: row.name,
    activeX509AuthorityId: row.active_x509_authority_id,
    data: row.data,
    version: row.version,
    updatedAt: row.updated_at,
  };
}
