import type { AgentRepository } from './agent-repository.ts';
import type { BundleRepository } from './bundle-repository.ts';
import type { CaJournalRepository } from './ca-journal-repository.ts';
import type { EntryRepository } from './entry-repository.ts';
import type { FederationRelationshipRepository } from './federation-relationship-repository.ts';
import type { JoinTokenRepository } from './join-token-repository.ts';

/** One repository an aggregate; each method is a transaction of its own, unless it is called inside of one. */
export interface Repositories {
  readonly entries: EntryRepository;
  readonly agents: AgentRepository;
  readonly joinTokens: JoinTokenRepository;
  readonly bundles: BundleRepository;
  readonly caJournal: CaJournalRepository;
  readonly federationRelationships: FederationRelationshipRepository;
}

export interface DatastoreOptions {
  /** Of the SQLite file; it is created, its folder is not. */
  readonly path: string;
  readonly clock?: () => Date;
  readonly log?: { info(message: string, fields?: Readonly<Record<string, string | number>>): void };
}

export interface Datastore extends Repositories, AsyncDisposable {
  /**
   * Runs `work` on repositories of one transaction: all of it is stored, or, when `work` throws, none.
   * Other users wait meanwhile, so `work` waits for nothing but these repositories.
   *
   * @throws SpiffeError `INTERNAL` when `work` uses the datastore itself, which would wait for ever.
   */
  transaction<T>(work: (repositories: Repositories) => Promise<T>): Promise<T>;
}

/** @throws SpiffeError `DATASTORE_UNUSABLE`, with what to do */
export declare function openDatastore(options: DatastoreOptions): Promise<Datastore>;
