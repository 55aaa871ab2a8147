import type { Kysely } from 'kysely';
import type { ChangedLogs } from './changes.ts';
import type { DatastoreSchema } from './schema.ts';
import type { BackupProgress, DatastoreCopy } from './sqlite-backup.ts';

type Work<T> = (db: Kysely<DatastoreSchema>) => Promise<T>;

/** What differs from one database to another. */
export interface Engine extends AsyncDisposable {
  readonly db: Kysely<DatastoreSchema>;
  /** How many migrations ran as it was opened. */
  readonly migrationsRun: number;
  /** Where it is, as the log has it: never a password. */
  readonly place: Readonly<Record<string, string | number>>;
  /**
   * A transaction of one repository call. It is run again where it got into another's way, so `work` does nothing
   * but use `db`.
   */
  step<T>(work: Work<T>): Promise<T>;
  /** A transaction that runs once, and while no other one of any server writes. */
  alone<T>(work: Work<T>): Promise<T>;
  /** @throws SpiffeError `FAILED_PRECONDITION` where there is no file to copy */
  backup(onProgress: (progress: BackupProgress) => void): Promise<DatastoreCopy>;
  /** Tells other servers, in the transaction that made the changes. */
  notify(db: Kysely<DatastoreSchema>, changed: ChangedLogs): Promise<void>;
  /** Calls `announce` when something was changed, if not yet {@link notice}d. */
  follow(announce: (changed: ChangedLogs) => void): void;
  /** Takes note of what this server has changed. @returns what of it was not announced meanwhile. */
  notice(changed: ChangedLogs): ChangedLogs;
  /** Whether this server is the one that does what one of several has to do. */
  readonly leads: boolean;
}
