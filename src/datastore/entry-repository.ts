import type { RegistrationEntry } from '../spiffe/entry.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { distinctSelectors } from '../spiffe/selector.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { type EntryFilter, entryCondition } from './entry-filter.ts';
import { EntryIds } from './entry-id.ts';
import { deleteEntryLists, insertEntryLists, loadEntries, newEntryRows, toEntryRow } from './entry-rows.ts';
import { EventLog, type EventPage } from './event-log.ts';
import { type Page, type PageRequest, readPage } from './page.ts';
import { QueryByKeys } from './prepared-query.ts';
import { atomically, chunksOf, type Session } from './session.ts';

export type { EntryFilter };

/** A new entry; the datastore gives it its revision and creation time, and an ID where `id` is empty. */
export type NewEntry = Omit<RegistrationEntry, 'revisionNumber' | 'createdAt'>;

/** What an update replaces: the keys that are present are its mask. */
export type EntryChanges = Partial<Omit<NewEntry, 'id'>>;

/** Throws to refuse a change of an entry, which is locked meanwhile; `after` is absent where it is deleted. */
export type EntryGuard = (before: RegistrationEntry, after: RegistrationEntry | undefined) => void;

export interface CreatedEntry {
  readonly entry: RegistrationEntry;
  /** False: an entry with this parent ID, SPIFFE ID and selector set was there, and is returned unchanged. */
  readonly created: boolean;
  /** Of the event that tells of it; absent where it was there. */
  readonly sequence?: number;
}

const entryIds = new EntryIds();
const entriesById = new QueryByKeys((db, ids) =>
  db.selectFrom('registration_entry').selectAll().where('id', 'in', ids),
);

/** Registration entries; every change appends to the event log in the same transaction. */
export class EntryRepository {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** @throws SpiffeError `ALREADY_EXISTS` (entry ID in use), `FAILED_PRECONDITION` (no bundle for a federated trust domain) */
  async create(entry: NewEntry): Promise<CreatedEntry> {
    const [created] = await this.createMany([entry]);
    if (created === undefined) throw new SpiffeError('INTERNAL', 'entry was not created');
    return created;
  }

  /** All or none; throws as {@link create}. */
  async createMany(entries: readonly NewEntry[]): Promise<readonly CreatedEntry[]> {
    return atomically(this.#session, async (session) => {
      await requireBundles(session, entries);
      const createdAt = session.now();
      const wanted = entries.map((entry) => ({
        ...withoutRepetition(entry),
        id: entry.id === '' ? entryIds.next() : entry.id,
        revisionNumber: 0,
        createdAt,
      }));
      const inserted = await insertNew(session, wanted);
      await insertEntryLists(session.db, [...inserted]);
      const created = [...inserted];
      const first = await new EventLog(session, 'entry').append(
        'created',
        created.map(({ id }) => id),
      );
      const sequences = new Map(created.map((entry, n) => [entry, first + n]));
      const others = await findSame(
        session,
        wanted.filter((entry) => !inserted.has(entry)),
      );
      return wanted.map((entry) => {
        const sequence = sequences.get(entry);
        if (sequence !== undefined) return { entry, created: true, sequence };
        const existing = others.get(toEntryRow(entry).identity_hash);
        if (existing !== undefined) return { entry: existing, created: false };
        throw new SpiffeError('ALREADY_EXISTS', `entry ID "${entry.id}" is that of another entry: choose another one`);
      });
    });
  }

  /**
   * Revision number +1.
   *
   * @param guard sees what the change makes of what; whatever it throws refuses it.
   * @throws SpiffeError `ENTRY_NOT_FOUND`, `ALREADY_EXISTS` (another entry has that parent ID, SPIFFE ID and selector set), `FAILED_PRECONDITION` as {@link create}
   */
  async update(id: string, changes: EntryChanges, guard?: EntryGuard): Promise<RegistrationEntry> {
    return atomically(this.#session, async (session) => {
      const { db } = session;
      const locked = await db
        .updateTable('registration_entry')
        .set((eb) => ({ revision_number: eb('revision_number', '+', 1) }))
        .where('id', '=', id)
        .returningAll()
        .execute();
      const [current] = await loadEntries(db, locked);
      if (current === undefined) throw notFound(id);
      const entry = { ...current, ...withoutRepetition(changes) };
      const before = { ...current, revisionNumber: current.revisionNumber - 1 };
      guard?.(before, entry);
      const row = toEntryRow(entry);
      await requireBundles(session, [entry]);
      const other = await db
        .selectFrom('registration_entry')
        .select('id')
        .where('identity_hash', '=', row.identity_hash)
        .where('id', '!=', id)
        .executeTakeFirst();
      if (other !== undefined) {
        throw new SpiffeError(
          'ALREADY_EXISTS',
          `entry "${other.id}" has this parent ID, SPIFFE ID and these selectors: update that one`,
        );
      }
      await db.updateTable('registration_entry').set(row).where('id', '=', id).execute();
      await deleteEntryLists(db, id);
      await insertEntryLists(db, [entry]);
      await new EventLog(session, 'entry').append('updated', [id]);
      return entry;
    });
  }

  /** @throws SpiffeError `ENTRY_NOT_FOUND` */
  async get(id: string): Promise<RegistrationEntry> {
    const entry = await this.find(id);
    if (entry === undefined) throw notFound(id);
    return entry;
  }

  async find(id: string): Promise<RegistrationEntry | undefined> {
    const [entry] = await this.findMany([id]);
    return entry;
  }

  /** Those of `ids` that exist. */
  async findMany(ids: readonly string[]): Promise<readonly RegistrationEntry[]> {
    const { db } = this.#session;
    return loadEntries(db, await entriesById.run(db, ids));
  }

  /** Those that have the parent ID, SPIFFE ID and selector set of one of `entries`. */
  async findSimilar(entries: readonly NewEntry[]): Promise<readonly RegistrationEntry[]> {
    const wanted = entries.map((entry) => ({ ...withoutRepetition(entry), revisionNumber: 0, createdAt: 0 }));
    return [...(await findSame(this.#session, wanted)).values()];
  }

  /** In the order of their IDs; without a page, all. */
  async list(filter: EntryFilter = {}, page?: PageRequest): Promise<Page<RegistrationEntry>> {
    const { db } = this.#session;
    const condition = entryCondition(filter);
    return readPage(
      page,
      (entry) => entry.id,
      async (after, limit) => {
        const rows = await db
          .selectFrom('registration_entry')
          .selectAll()
          .where('id', '>', after)
          .where(condition)
          .orderBy('id')
          .limit(limit)
          .execute();
        return loadEntries(db, rows);
      },
    );
  }

  /** As {@link list}, the IDs alone. */
  async listIds(filter: EntryFilter = {}, page?: PageRequest): Promise<Page<string>> {
    const condition = entryCondition(filter);
    return readPage(
      page,
      (id) => id,
      async (after, limit) => {
        const rows = await this.#session.db
          .selectFrom('registration_entry')
          .select('id')
          .where('id', '>', after)
          .where(condition)
          .orderBy('id')
          .limit(limit)
          .execute();
        return rows.map(({ id }) => id);
      },
    );
  }

  async count(filter: EntryFilter = {}): Promise<number> {
    const { count } = await this.#session.db
      .selectFrom('registration_entry')
      .select((eb) => eb.fn.countAll().as('count'))
      .where(entryCondition(filter))
      .executeTakeFirstOrThrow();
    return Number(count);
  }

  /**
   * @param guard as for {@link update}
   * @returns the entry that was deleted. @throws SpiffeError `ENTRY_NOT_FOUND`
   */
  async delete(id: string, guard?: EntryGuard): Promise<RegistrationEntry> {
    return atomically(this.#session, async (session) => {
      if (guard !== undefined) guard(await lockEntry(session, id), undefined);
      const [entry] = await deleteEntries(session, [id]);
      if (entry === undefined) throw notFound(id);
      return entry;
    });
  }

  /** @returns those of `ids` that were there and are deleted. */
  async deleteMany(ids: readonly string[]): Promise<readonly RegistrationEntry[]> {
    return atomically(this.#session, (session) => deleteEntries(session, ids));
  }

  /** Deletes what expired before now. @returns what it deleted. */
  async pruneExpired(): Promise<readonly RegistrationEntry[]> {
    return atomically(this.#session, async (session) => {
      const expired = await session.db
        .updateTable('registration_entry')
        .set((eb) => ({ admin: eb.ref('admin') }))
        .where('expires_at', '!=', 0)
        .where('expires_at', '<', session.now())
        .returning('id')
        .execute();
      return deleteEntries(
        session,
        expired.map(({ id }) => id),
      );
    });
  }

  /** Deletes every entry that federates with `trustDomain`. @returns how many */
  async deleteFederated(trustDomain: TrustDomain): Promise<number> {
    return atomically(this.#session, async (session) => {
      const ids = await idsFederatedWith(session, trustDomain);
      return (await deleteEntries(session, ids)).length;
    });
  }

  /** Has no entry federate with `trustDomain` any longer, each with revision number +1. @returns how many */
  async dissociate(trustDomain: TrustDomain): Promise<number> {
    return atomically(this.#session, async (session) => {
      const dissociated = await session.db
        .deleteFrom('entry_federates_with')
        .where('trust_domain', '=', trustDomain)
        .returning('entry_id')
        .execute();
      const ids = dissociated.map(({ entry_id }) => entry_id);
      for (const chunk of chunksOf(ids)) {
        await session.db
          .updateTable('registration_entry')
          .set((eb) => ({ revision_number: eb('revision_number', '+', 1) }))
          .where('id', 'in', chunk)
          .execute();
      }
      await new EventLog(session, 'entry').append('updated', ids);
      return ids.length;
    });
  }

  /** Sequence of the last event; 0: none yet. */
  async latestEvent(): Promise<number> {
    return new EventLog(this.#session, 'entry').latest();
  }

  /** Event keys are entry IDs. */
  async eventsAfter(sequence: number, limit?: number): Promise<EventPage> {
    return new EventLog(this.#session, 'entry').after(sequence, limit);
  }

  /** @returns how many */
  async pruneEvents(olderThanSeconds: number): Promise<number> {
    return new EventLog(this.#session, 'entry').prune(olderThanSeconds);
  }
}

/** @returns those of `entries` that were not there, neither by ID nor by identity. */
async function insertNew<E extends RegistrationEntry>({ db }: Session, entries: readonly E[]): Promise<Set<E>> {
  const byRow = new Map<string, E>();
  const rows = entries.map((entry) => {
    const row = toEntryRow(entry);
    const key = rowKey(row);
    if (!byRow.has(key)) byRow.set(key, entry);
    return row;
  });
  const stored = await newEntryRows.insert(db, rows);
  return new Set(stored.flatMap((row) => byRow.get(rowKey(row)) ?? []));
}

/** Nobody else changes it until the transaction ends. @throws SpiffeError `ENTRY_NOT_FOUND` */
async function lockEntry({ db }: Session, id: string): Promise<RegistrationEntry> {
  const locked = await db
    .updateTable('registration_entry')
    .set((eb) => ({ revision_number: eb.ref('revision_number') }))
    .where('id', '=', id)
    .returningAll()
    .execute();
  const [entry] = await loadEntries(db, locked);
  if (entry === undefined) throw notFound(id);
  return entry;
}

function rowKey({ id, identity_hash }: { readonly id: string; readonly identity_hash: string }): string {
  return `${identity_hash} ${id}`;
}

/** By the hash of their identity. */
async function findSame(
  { db }: Session,
  entries: readonly RegistrationEntry[],
): Promise<ReadonlyMap<string, RegistrationEntry>> {
  const same = new Map<string, RegistrationEntry>();
  for (const chunk of chunksOf(entries)) {
    const rows = await db
      .selectFrom('registration_entry')
      .selectAll()
      .where(
        'identity_hash',
        'in',
        chunk.map((entry) => toEntryRow(entry).identity_hash),
      )
      .execute();
    for (const entry of await loadEntries(db, rows)) same.set(toEntryRow(entry).identity_hash, entry);
  }
  return same;
}

async function deleteEntries(session: Session, ids: readonly string[]): Promise<readonly RegistrationEntry[]> {
  const { db } = session;
  const deleted: RegistrationEntry[] = [];
  for (const chunk of chunksOf(ids)) {
    const locked = await db
      .updateTable('registration_entry')
      .set((eb) => ({ admin: eb.ref('admin') }))
      .where('id', 'in', chunk)
      .returningAll()
      .execute();
    deleted.push(...(await loadEntries(db, locked)));
    await db.deleteFrom('registration_entry').where('id', 'in', chunk).execute();
  }
  await new EventLog(session, 'entry').append(
    'deleted',
    deleted.map(({ id }) => id),
  );
  return deleted;
}

async function idsFederatedWith({ db }: Session, trustDomain: TrustDomain): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('entry_federates_with')
    .select('entry_id')
    .where('trust_domain', '=', trustDomain)
    .execute();
  return rows.map(({ entry_id }) => entry_id);
}

/** @throws SpiffeError `FAILED_PRECONDITION` */
async function requireBundles({ db }: Session, entries: readonly Pick<NewEntry, 'federatesWith'>[]): Promise<void> {
  const wanted = new Set(entries.flatMap(({ federatesWith }) => federatesWith));
  for (const chunk of chunksOf([...wanted])) {
    const rows = await db.selectFrom('bundle').select('trust_domain').where('trust_domain', 'in', chunk).execute();
    for (const { trust_domain } of rows) wanted.delete(trust_domain as TrustDomain);
  }
  const [missing] = wanted;
  if (missing !== undefined) {
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `trust domain "${missing}" has no bundle here: set it before an entry federates with it`,
    );
  }
}

function withoutRepetition<C extends EntryChanges>(changes: C): C {
  const { selectors, federatesWith } = changes;
  return {
    ...changes,
    ...(selectors === undefined ? {} : { selectors: distinctSelectors(selectors) }),
    ...(federatesWith === undefined ? {} : { federatesWith: [...new Set(federatesWith)] }),
  };
}

function notFound(id: string): SpiffeError {
  return new SpiffeError('ENTRY_NOT_FOUND', `no registration entry "${id}"`);
}
