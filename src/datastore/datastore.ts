import { AsyncLocalStorage } from 'node:async_hooks';
import { Kysely } from 'kysely';
import { SpiffeError } from '../spiffe/error.ts';
import { AgentRepository } from './agent-repository.ts';
import { BundleRepository } from './bundle-repository.ts';
import { CaJournalRepository } from './ca-journal-repository.ts';
import { Changes } from './changes.ts';
import { EntryRepository } from './entry-repository.ts';
import { FederationRelationshipRepository } from './federation-relationship-repository.ts';
import { JoinTokenRepository } from './join-token-repository.ts';
import { migrate } from './migrate.ts';
import type { DatastoreSchema } from './schema.ts';
import { inTransaction, type Session } from './session.ts';
import { NodeSqliteDialect } from './sqlite.ts';
import { openSqliteFile } from './sqlite-file.ts';

/** One repository an aggregate; each method is a transaction of its own, or a step of the one it is called in. */
export interface Repositories {
  readonly entries: EntryRepository;
  readonly agents: AgentRepository;
  readonly joinTokens: JoinTokenRepository;
  readonly bundles: BundleRepository;
  readonly caJournal: CaJournalRepository;
  readonly federationRelationships: FederationRelationshipRepository;
}

export interface Datastore extends Repositories, AsyncDisposable {
  /** Tells of every change, once it is stored. */
  readonly changes: Pick<Changes, 'subscribe'>;

  /**
   * Runs `work` on repositories of one transaction: all that it did is stored, or, when it throws, nothing.
   * Others wait meanwhile, so `work` waits for nothing but these repositories, and for one call at a time.
   *
   * @throws SpiffeError `INTERNAL` when `work` uses the datastore itself, and would wait for its own end.
   */
  transaction<T>(work: (repositories: Repositories) => Promise<T>): Promise<T>;
}

export interface DatastoreOptions {
  /** Of the SQLite file; it is created where there is none, its folder is not. */
  readonly path: string;
  readonly clock?: () => Date;
  readonly log?: DatastoreLog;
}

/** The part of a logger that the datastore needs. */
export interface DatastoreLog {
  info(message: string, fields?: Readonly<Record<string, string | number>>): void;
  error(message: string, fields?: Readonly<Record<string, string | number>>): void;
}

/** @throws SpiffeError `DATASTORE_UNUSABLE`, with what to do */
export async function openDatastore({ path, clock, log }: DatastoreOptions): Promise<Datastore> {
  const { database, isNew } = await openSqliteFile(path);
  const running = new AsyncLocalStorage<RunningTransaction>();
  const dialect = new NodeSqliteDialect(database, () => {
    if (running.getStore()?.isOpen !== true) return;
    throw new SpiffeError(
      'INTERNAL',
      'datastore was used within a transaction: use the repositories of the transaction',
    );
  });
  const db = new Kysely<DatastoreSchema>({ dialect });
  try {
    const migrations = await migrate(db, isNew);
    log?.info('datastore is open', { path, migrations_run: migrations.length });
  } catch (error) {
    database.close();
    throw error;
  }
  const now = () => Math.floor((clock?.() ?? new Date()).getTime() / 1000);
  const changes = new Changes((error) =>
    log?.error('what follows a change of the datastore failed', {
      error: error instanceof Error ? error.message : String(error),
    }),
  );
  return new OpenDatastore({ db, now, changes, changed: new Set() }, running);
}

interface RunningTransaction {
  isOpen: boolean;
}

class OpenDatastore implements Datastore {
  readonly entries: EntryRepository;
  readonly agents: AgentRepository;
  readonly joinTokens: JoinTokenRepository;
  readonly bundles: BundleRepository;
  readonly caJournal: CaJournalRepository;
  readonly federationRelationships: FederationRelationshipRepository;
  readonly changes: Changes;
  readonly #session: Session;
  readonly #running: AsyncLocalStorage<RunningTransaction>;

  constructor(session: Session, running: AsyncLocalStorage<RunningTransaction>) {
    const repositories = repositoriesOf(session);
    this.entries = repositories.entries;
    this.agents = repositories.agents;
    this.joinTokens = repositories.joinTokens;
    this.bundles = repositories.bundles;
    this.caJournal = repositories.caJournal;
    this.federationRelationships = repositories.federationRelationships;
    this.changes = session.changes;
    this.#session = session;
    this.#running = running;
  }

  async transaction<T>(work: (repositories: Repositories) => Promise<T>): Promise<T> {
    return inTransaction(this.#session, async (session) => {
      const transaction = { isOpen: true };
      try {
        return await this.#running.run(transaction, () => work(repositoriesOf(session)));
      } finally {
        transaction.isOpen = false;
      }
    });
  }

  /** Waits for the transactions that run. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.db.destroy();
  }
}

function repositoriesOf(session: Session): Repositories {
  return {
    entries: new EntryRepository(session),
    agents: new AgentRepository(session),
    joinTokens: new JoinTokenRepository(session),
    bundles: new BundleRepository(session),
    caJournal: new CaJournalRepository(session),
    federationRelationships: new FederationRelationshipRepository(session),
  };
}
