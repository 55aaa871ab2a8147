import { AsyncLocalStorage } from 'node:async_hooks';
import { join } from 'node:path';
import type { DatastoreConfig, PostgresConfig } from '../config/datastore-config.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { AgentRepository } from './agent-repository.ts';
import { AttemptRepository } from './attempt-repository.ts';
import { BundleRepository } from './bundle-repository.ts';
import { CaJournalRepository } from './ca-journal-repository.ts';
import { Changes } from './changes.ts';
import { EntryRepository } from './entry-repository.ts';
import { EntrySetRepository } from './entry-set-repository.ts';
import { FederationRelationshipRepository } from './federation-relationship-repository.ts';
import { JoinTokenRepository } from './join-token-repository.ts';
import { openPostgresEngine } from './postgres/engine.ts';
import { inTransaction, type Session } from './session.ts';
import type { BackupProgress, DatastoreCopy } from './sqlite-backup.ts';
import { openSqliteEngine } from './sqlite-engine.ts';
import { VerdictRepository } from './verdict-repository.ts';

/** One repository an aggregate; each method is a transaction of its own, or a step of the one it is called in. */
export interface Repositories {
  readonly entries: EntryRepository;
  readonly agents: AgentRepository;
  readonly joinTokens: JoinTokenRepository;
  readonly bundles: BundleRepository;
  readonly caJournal: CaJournalRepository;
  readonly federationRelationships: FederationRelationshipRepository;
  readonly attempts: AttemptRepository;
  readonly entrySets: EntrySetRepository;
  readonly verdicts: VerdictRepository;
}

export interface Datastore extends Repositories, AsyncDisposable {
  /** Tells of every change, once it is stored. */
  readonly changes: Pick<Changes, 'subscribe'>;
  /** Whether this server, of those that share the database, is the one that prunes. It may change at any time. */
  readonly leads: boolean;

  /** A copy as it is now, while others write. @throws SpiffeError `FAILED_PRECONDITION` for PostgreSQL, which has tools of its own */
  backup(onProgress: (progress: BackupProgress) => void): Promise<DatastoreCopy>;
  /**
   * Runs `work` on repositories of one transaction: all that it did is stored, or, when it throws, nothing.
   * Others wait meanwhile, so `work` waits for nothing but these repositories, and for one call at a time.
   *
   * @throws SpiffeError `INTERNAL` when `work` uses the datastore itself, and would wait for its own end.
   */
  transaction<T>(work: (repositories: Repositories) => Promise<T>): Promise<T>;
}

export type DatastoreOptions = DatastorePlace & {
  readonly clock?: () => Date;
  readonly log?: DatastoreLog;
};

/** An SQLite file, which is created where there is none, or a database of PostgreSQL. */
export type DatastorePlace =
  | { readonly path: string; readonly disableMigration?: boolean }
  | { readonly postgres: PostgresConfig };

export function datastorePlace(config: DatastoreConfig): DatastorePlace {
  if (config.databaseType === 'postgres') return { postgres: config };
  return { path: join(config.path), disableMigration: config.disableMigration };
}

/** The part of a logger that the datastore needs. */
export interface DatastoreLog {
  info(message: string, fields?: Readonly<Record<string, string | number>>): void;
  warning(message: string, fields?: Readonly<Record<string, string | number>>): void;
  error(message: string, fields?: Readonly<Record<string, string | number>>): void;
}

/** @throws SpiffeError `DATASTORE_UNUSABLE`, with what to do */
export async function openDatastore({ clock = () => new Date(), log, ...place }: DatastoreOptions): Promise<Datastore> {
  const running = new AsyncLocalStorage<RunningTransaction>();
  const beforeWaiting = () => {
    if (running.getStore()?.isOpen !== true) return;
    throw new SpiffeError(
      'INTERNAL',
      'datastore was used within a transaction: use the repositories of the transaction',
    );
  };
  const engine =
    'path' in place
      ? await openSqliteEngine({ disableMigration: false, ...place, beforeWaiting })
      : await openPostgresEngine({ config: place.postgres, log, beforeWaiting });
  log?.info('datastore is open', { ...engine.place, migrations_run: engine.migrationsRun });
  const changes = new Changes((error) =>
    log?.error('what follows a change of the datastore failed', {
      error: messageOf(error),
    }),
  );
  engine.follow((changed) => changes.announce(changed));
  const now = () => Math.floor(clock().getTime() / 1000);
  return new OpenDatastore({ db: engine.db, engine, now, changes, changed: new Map() }, running);
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
  readonly attempts: AttemptRepository;
  readonly entrySets: EntrySetRepository;
  readonly verdicts: VerdictRepository;
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
    this.attempts = repositories.attempts;
    this.entrySets = repositories.entrySets;
    this.verdicts = repositories.verdicts;
    this.changes = session.changes;
    this.#session = session;
    this.#running = running;
  }

  get leads(): boolean {
    return this.#session.engine.leads;
  }

  async backup(onProgress: (progress: BackupProgress) => void): Promise<DatastoreCopy> {
    return await this.#session.engine.backup(onProgress);
  }

  async transaction<T>(work: (repositories: Repositories) => Promise<T>): Promise<T> {
    return inTransaction(this.#session, 'alone', async (session) => {
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
    await this.#session.engine[Symbol.asyncDispose]();
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
    attempts: new AttemptRepository(session),
    entrySets: new EntrySetRepository(session),
    verdicts: new VerdictRepository(session),
  };
}
