import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { toDatastoreError } from './sqlite-error.ts';
import type { WriteAheadLog } from './write-ahead-log.ts';

export interface NodeSqliteOptions {
  readonly database: DatabaseSync;
  /** What is written is on the disk once this has been flushed; undefined where SQLite itself sees to that. */
  readonly log: WriteAheadLog | undefined;
  /** Called before each wait for the connection; it throws where that would never end. */
  readonly beforeWaiting: () => void;
}

/** Kysely over Node's own SQLite: one connection, which its users take in turns. */
export class NodeSqliteDialect implements Dialect {
  readonly #options: NodeSqliteOptions;

  constructor(options: NodeSqliteOptions) {
    this.#options = options;
  }

  createDriver(): Driver {
    return new NodeSqliteDriver(this.#options);
  }

  createQueryCompiler(): SqliteQueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): SqliteAdapter {
    return new NodeSqliteAdapter();
  }

  createIntrospector(db: Kysely<unknown>): SqliteIntrospector {
    return new SqliteIntrospector(db);
  }
}

class NodeSqliteAdapter extends SqliteAdapter {
  /** True: the driver hands out the connection in turns by itself. */
  override get supportsMultipleConnections(): boolean {
    return true;
  }

  /** SQLite undoes schema changes like any other, so migrations run in one transaction. */
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class NodeSqliteDriver implements Driver {
  readonly #options: NodeSqliteOptions;
  readonly #statements: Statements;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: NodeSqliteOptions) {
    this.#options = options;
    this.#statements = new Statements(options.database);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<NodeSqliteConnection> {
    this.#options.beforeWaiting();
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    return new NodeSqliteConnection(this.#statements, this.#options, resolve);
  }

  async releaseConnection(connection: NodeSqliteConnection): Promise<void> {
    connection.endTurn();
  }

  async beginTransaction(connection: NodeSqliteConnection): Promise<void> {
    connection.begin();
  }

  async commitTransaction(connection: NodeSqliteConnection): Promise<void> {
    await connection.commit();
  }

  async rollbackTransaction(connection: NodeSqliteConnection): Promise<void> {
    connection.rollback();
  }

  async destroy(): Promise<void> {
    await this.acquireConnection();
    const { database, log } = this.#options;
    await log?.[Symbol.asyncDispose]();
    if (database.isOpen) database.close();
  }
}

const READS = /^\s*select\b/i;

/** The connection for one turn, which ends before what was written is on the disk: the next one need not wait for that. */
class NodeSqliteConnection implements DatabaseConnection {
  readonly endTurn: () => void;
  readonly #statements: Statements;
  readonly #options: NodeSqliteOptions;

  constructor(statements: Statements, options: NodeSqliteOptions, endTurn: () => void) {
    this.#statements = statements;
    this.#options = options;
    this.endTurn = endTurn;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const { database, log } = this.#options;
    if (database.isTransaction || READS.test(sql)) return this.#statements.run<R>(sql, parameters);
    log?.requireSound();
    const result = this.#statements.run<R>(sql, parameters);
    await this.#store();
    return result;
  }

  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    for (const row of this.#statements.run<R>(query.sql, query.parameters).rows) yield { rows: [row] };
  }

  /** Takes the write lock at once: a transaction that starts as a reader could be refused it later. */
  begin(): void {
    this.#options.log?.requireSound();
    this.#statements.run('begin immediate');
  }

  async commit(): Promise<void> {
    this.#statements.run('commit');
    await this.#store();
  }

  /** A full disk or an I/O error has SQLite roll back on its own. */
  rollback(): void {
    if (this.#options.database.isTransaction) this.#statements.run('rollback');
  }

  async #store(): Promise<void> {
    this.endTurn();
    await this.#options.log?.flush();
  }
}

const MAX_PREPARED = 200;
/** Longer statements are lists of varying length, which seldom come twice. */
const MAX_PREPARED_CHARACTERS = 16 * 1024;

/** Those that are prepared once, and run. */
class Statements {
  readonly #database: DatabaseSync;
  /** In the order of last use. */
  readonly #prepared = new Map<string, PreparedStatement>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  run<R>(sql: string, parameters: readonly unknown[] = []): QueryResult<R> {
    try {
      const { statement, hasRows } = this.#prepare(sql);
      const values = parameters as readonly SQLInputValue[];
      if (hasRows) return { rows: statement.all(...values) as R[] };
      return { rows: [], numAffectedRows: BigInt(statement.run(...values).changes) };
    } catch (error) {
      throw toDatastoreError(error);
    }
  }

  #prepare(sql: string): PreparedStatement {
    const known = this.#prepared.get(sql);
    if (known !== undefined) {
      this.#prepared.delete(sql);
      this.#prepared.set(sql, known);
      return known;
    }
    const statement = this.#database.prepare(sql);
    const prepared = { statement, hasRows: statement.columns().length > 0 };
    if (sql.length <= MAX_PREPARED_CHARACTERS) {
      this.#prepared.set(sql, prepared);
      const oldest = this.#prepared.keys().next();
      if (this.#prepared.size > MAX_PREPARED && oldest.done === false) this.#prepared.delete(oldest.value);
    }
    return prepared;
  }
}

interface PreparedStatement {
  readonly statement: StatementSync;
  readonly hasRows: boolean;
}
