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

/** Kysely over Node's own SQLite: one connection, which its users take in turns. */
export class NodeSqliteDialect implements Dialect {
  readonly #database: DatabaseSync;
  readonly #beforeWaiting: () => void;

  /** @param beforeWaiting called before each wait for the connection; it throws where that would never end. */
  constructor(database: DatabaseSync, beforeWaiting: () => void) {
    this.#database = database;
    this.#beforeWaiting = beforeWaiting;
  }

  createDriver(): Driver {
    return new NodeSqliteDriver(this.#database, this.#beforeWaiting);
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
  readonly #database: DatabaseSync;
  readonly #connection: NodeSqliteConnection;
  readonly #beforeWaiting: () => void;
  #turn: Promise<void> = Promise.resolve();
  #endTurn: () => void = () => {};

  constructor(database: DatabaseSync, beforeWaiting: () => void) {
    this.#database = database;
    this.#connection = new NodeSqliteConnection(database);
    this.#beforeWaiting = beforeWaiting;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    this.#beforeWaiting();
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    this.#endTurn = resolve;
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    this.#endTurn();
  }

  /** Takes the write lock at once: a transaction that starts as a reader could be refused it later. */
  async beginTransaction(): Promise<void> {
    this.#connection.run('begin immediate');
  }

  async commitTransaction(): Promise<void> {
    this.#connection.run('commit');
  }

  /** A full disk or an I/O error has SQLite roll back on its own. */
  async rollbackTransaction(): Promise<void> {
    if (this.#database.isTransaction) this.#connection.run('rollback');
  }

  async destroy(): Promise<void> {
    await this.acquireConnection();
    if (this.#database.isOpen) this.#database.close();
  }
}

const MAX_PREPARED = 200;
/** Longer statements are lists of varying length, which seldom come twice. */
const MAX_PREPARED_CHARACTERS = 16 * 1024;

class NodeSqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  /** In the order of last use. */
  readonly #prepared = new Map<string, PreparedStatement>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    return this.run<R>(sql, parameters);
  }

  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    for (const row of this.run<R>(query.sql, query.parameters).rows) yield { rows: [row] };
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
