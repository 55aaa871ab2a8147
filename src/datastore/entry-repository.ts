import type { RegistrationEntry } from '../spiffe/entry.ts';
import type { Selector } from '../spiffe/selector.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { EventPage } from './event-log.ts';
import type { Page, PageRequest } from './page.ts';
import type { SetMatch } from './set-match.ts';

/** A new entry; the datastore gives it its revision and creation time, and an ID where `id` is empty. */
export type NewEntry = Omit<RegistrationEntry, 'revisionNumber' | 'createdAt'>;

/** What an update replaces: the keys that are present are its mask. */
export type EntryChanges = Partial<Omit<NewEntry, 'id'>>;

/** Conditions that all hold; an absent one holds always. */
export interface EntryFilter {
  readonly parentId?: SpiffeId;
  readonly spiffeId?: SpiffeId;
  readonly selectors?: { readonly match: SetMatch; readonly selectors: readonly Selector[] };
  readonly federatesWith?: { readonly match: SetMatch; readonly trustDomains: readonly TrustDomain[] };
  readonly hint?: string;
  readonly downstream?: boolean;
}

export interface CreatedEntry {
  readonly entry: RegistrationEntry;
  /** False: an entry with this parent ID, SPIFFE ID and selector set was there, and is returned unchanged. */
  readonly created: boolean;
}

/** Registration entries; every change appends to the event log in the same transaction. */
export declare class EntryRepository {
  /** @throws SpiffeError `ALREADY_EXISTS` (entry ID in use), `FAILED_PRECONDITION` (no bundle for a federated trust domain) */
  create(entry: NewEntry): Promise<CreatedEntry>;
  /** All or none. */
  createMany(entries: readonly NewEntry[]): Promise<readonly CreatedEntry[]>;
  /** Revision number +1. @throws SpiffeError `ENTRY_NOT_FOUND`, `ALREADY_EXISTS` (another entry has that identity), `FAILED_PRECONDITION` */
  update(id: string, changes: EntryChanges): Promise<RegistrationEntry>;
  /** @throws SpiffeError `ENTRY_NOT_FOUND` */
  get(id: string): Promise<RegistrationEntry>;
  find(id: string): Promise<RegistrationEntry | undefined>;
  /** Those of `ids` that exist, in the order of their IDs. */
  findMany(ids: readonly string[]): Promise<readonly RegistrationEntry[]>;
  /** In the order of their IDs; without a page, all. */
  list(filter?: EntryFilter, page?: PageRequest): Promise<Page<RegistrationEntry>>;
  count(filter?: EntryFilter): Promise<number>;
  /** @returns the entry that was deleted. @throws SpiffeError `ENTRY_NOT_FOUND` */
  delete(id: string): Promise<RegistrationEntry>;
  /** Deletes what expired before now. @returns what it deleted. */
  pruneExpired(): Promise<readonly RegistrationEntry[]>;
  /** Sequence of the last event; 0: none yet. */
  latestEvent(): Promise<number>;
  /** Event keys are entry IDs. */
  eventsAfter(sequence: number, limit?: number): Promise<EventPage>;
  /** @returns how many */
  pruneEvents(olderThanSeconds: number): Promise<number>;
}
