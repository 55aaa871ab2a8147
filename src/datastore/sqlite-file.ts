import { constants } from 'node:fs';
import { access, chmod, type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SpiffeError } from '../spiffe/error.ts';
import { toDatastoreError } from './sqlite-error.ts';
import { WriteAheadLog } from './write-ahead-log.ts';

/** "ASYR", in the header of our files. */
const APPLICATION_ID = 0x41535952;
/** First bytes of every SQLite file. Source: sqlite.org/fileformat2.html §1.3 */
const SQLITE_MAGIC = 'SQLite format 3\0';
const BUSY_TIMEOUT_MS = 5000;
const FILE_MODE = 0o600;

export interface SqliteFile {
  readonly database: DatabaseSync;
  /** Undefined on a file system on which SQLite has none: there it writes to the disk by itself. */
  readonly log: WriteAheadLog | undefined;
  /** Those that were there; none in a new file. */
  readonly tables: readonly string[];
}

/**
 * Opens or creates a database file that only this user can read. A file that is not ours is left as it was.
 *
 * @throws SpiffeError `DATASTORE_UNUSABLE`, with what to do
 */
export async function openSqliteFile(path: string): Promise<SqliteFile> {
  await createOrCheck(path);
  const database = openDatabase(path);
  try {
    const tables = requireOurs(database, path);
    await chmod(path, FILE_MODE);
    const log = prepare(database, tables.length === 0) ? await WriteAheadLog.open(path) : undefined;
    return { database, log, tables };
  } catch (error) {
    database.close();
    throw atPath(path, error);
  }
}

/** Closes the file before SQLite opens it: closing any descriptor of a file takes the process's locks off it. */
async function createOrCheck(path: string): Promise<void> {
  await using file = await openOrCreate(path);
  const { bytesRead, buffer } = await file.read(Buffer.alloc(SQLITE_MAGIC.length), 0, SQLITE_MAGIC.length, 0);
  if (bytesRead === 0 || buffer.toString('latin1') === SQLITE_MAGIC) return;
  throw unusable(
    `datastore file "${path}" is not an SQLite database: restore it from a backup, or name another file in connection_string`,
  );
}

async function openOrCreate(path: string): Promise<FileHandle> {
  const folder = dirname(path);
  try {
    await access(`${folder}/`, constants.W_OK | constants.X_OK);
    return await open(path, constants.O_RDWR | constants.O_CREAT, FILE_MODE);
  } catch (cause) {
    throw unusable(`datastore file "${path}" cannot be written: ${adviceFor(cause, folder)}`, cause);
  }
}

function adviceFor(cause: unknown, folder: string): string {
  switch (cause instanceof Error && 'code' in cause ? cause.code : undefined) {
    case 'ENOENT':
      return `create the folder "${folder}"`;
    case 'EISDIR':
      return 'it is a folder, so name a file in it';
    case 'ENOTDIR':
      return `"${folder}" is not a folder`;
    case 'EROFS':
      return 'its file system is read-only, so name a file on another one';
    default:
      return `give this user permission to write it and its folder "${folder}"`;
  }
}

function openDatabase(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true });
  } catch (error) {
    throw atPath(path, error);
  }
}

/** @returns the names of its tables; a new database has none. */
function requireOurs(database: DatabaseSync, path: string): readonly string[] {
  const names = strings(database, "select name from sqlite_master where type = 'table'");
  if (names.length === 0) return names;
  if (isSpire(database, names)) {
    throw unusable(
      `datastore file "${path}" is a SPIRE server's: it stays untouched, so name another file in connection_string and create the entries there again (spire-server entry show -output json lists them)`,
    );
  }
  if (strings(database, 'pragma application_id')[0] !== String(APPLICATION_ID)) {
    throw unusable(
      `datastore file "${path}" belongs to another program (it has a table "${names[0]}"): name another file in connection_string`,
    );
  }
  const [verdict] = strings(database, 'pragma quick_check(1)');
  if (verdict !== 'ok') {
    throw unusable(`datastore file "${path}" is damaged (${verdict}): restore it from a backup`);
  }
  return names;
}

function isSpire(database: DatabaseSync, tables: readonly string[]): boolean {
  if (tables.includes('registered_entries') || tables.includes('attested_node_entries')) return true;
  if (!tables.includes('migrations')) return false;
  const columns = strings(database, "select name from pragma_table_info('migrations')");
  return columns.includes('version') || columns.includes('code_version');
}

/** @returns whether there is a write-ahead log, which whoever commits has to flush. */
function prepare(database: DatabaseSync, isNew: boolean): boolean {
  if (isNew) database.exec(`pragma application_id = ${APPLICATION_ID}`);
  const hasLog = strings(database, 'pragma journal_mode = wal')[0] === 'wal';
  // With `normal` SQLite writes what it checkpoints to the disk in the right order, and leaves commits to us.
  database.exec(`pragma synchronous = ${hasLog ? 'normal' : 'full'}`);
  database.exec('pragma trusted_schema = off');
  database.exec('select count(*) from sqlite_master'); // its file is there from the first look on
  return hasLog;
}

/** The first column of each row. */
function strings(database: DatabaseSync, sql: string): readonly string[] {
  const rows = database.prepare(sql).all();
  return rows.map((row) => String(Object.values(row)[0]));
}

function atPath(path: string, error: unknown): unknown {
  const translated = toDatastoreError(error);
  if (translated === error || !(translated instanceof SpiffeError)) return error;
  return unusable(translated.message.replace(/^datastore/, `datastore file "${path}"`), error);
}

function unusable(message: string, cause?: unknown): SpiffeError {
  return new SpiffeError('DATASTORE_UNUSABLE', message, { cause });
}
