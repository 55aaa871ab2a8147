import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely';
import type { PoolClient, QueryConfig } from 'pg';
import { SpiffeError } from '../../spiffe/error.ts';
import type { ConnectionPool } from './connection-pool.ts';
import { isConnectionLost, isWorthAnother, outcomeUnknown, toPostgresError } from './error.ts';

/** Kysely over `pg`, with connections that are replaced when they are lost. */
export class NodePostgresDialect implements Dialect {
  readonly #pool: ConnectionPool;
  readonly #beforeWaiting: () => void;

  /** @param beforeWaiting called before each wait for a connection; it throws where that would never end. */
  constructor(pool: ConnectionPool, beforeWaiting: () => void) {
    this.#pool = pool;
    this.#beforeWaiting = beforeWaiting;
  }

  createDriver(): Driver {
    return new NodePostgresDriver(this.#pool, this.#beforeWaiting);
  }

  createQueryCompiler(): PostgresQueryCompiler {
    return new PostgresQueryCompiler();
  }

  createAdapter(): PostgresAdapter {
    return new PostgresAdapter();
  }

  createIntrospector(db: Kysely<unknown>): PostgresIntrospector {
    return new PostgresIntrospector(db);
  }
}

class NodePostgresDriver implements Driver {
  readonly #pool: ConnectionPool;
  readonly #beforeWaiting: () => void;

  constructor(pool: ConnectionPool, beforeWaiting: () => void) {
    this.#pool = pool;
    this.#beforeWaiting = beforeWaiting;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<NodePostgresConnection> {
    this.#beforeWaiting();
    return new NodePostgresConnection(this.#pool, await this.#pool.acquire());
  }

  async releaseConnection(connection: NodePostgresConnection): Promise<void> {
    connection.release();
  }

  /** Each statement sees what was committed before it; what must not change meanwhile is locked. */
  async beginTransaction(connection: NodePostgresConnection): Promise<void> {
    await connection.begin();
  }

  async commitTransaction(connection: NodePostgresConnection): Promise<void> {
    await connection.commit();
  }

  async rollbackTransaction(connection: NodePostgresConnection): Promise<void> {
    await connection.rollback();
  }

  async destroy(): Promise<void> {
    await this.#pool.end();
  }
}

const MAX_PREPARED = 200;
/** Longer statements are lists of varying length, which seldom come twice. */
const MAX_PREPARED_CHARACTERS = 2048;
/** The same name stands for the same statement on every connection. */
const PREPARED = new Map<string, string>();

/** `pg` has the time-out, its types do not. */
type TimedQuery = QueryConfig<unknown[]> & { readonly query_timeout: number };

class NodePostgresConnection implements DatabaseConnection {
  readonly #pool: ConnectionPool;
  #client: PoolClient;
  #isBroken = false;
  #isInTransaction = false;

  constructor(pool: ConnectionPool, client: PoolClient) {
    this.#pool = pool;
    this.#client = client;
  }

  /** A read that is no part of a transaction is repeated on another connection. */
  async executeQuery<R>({ sql, parameters, query }: CompiledQuery): Promise<QueryResult<R>> {
    try {
      return await this.#run<R>(sql, parameters);
    } catch (error) {
      const mayRepeat = query.kind === 'SelectQueryNode' && !this.#isInTransaction && this.#isBroken;
      if (!mayRepeat || !isWorthAnother(error)) throw error;
      this.release();
      this.#client = await this.#pool.acquire();
      this.#isBroken = false;
      return await this.#run<R>(sql, parameters);
    }
  }

  /** Nothing here streams. */
  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new SpiffeError('INTERNAL', 'datastore reads page by page');
  }

  async begin(): Promise<void> {
    await this.#run('begin isolation level read committed');
    this.#isInTransaction = true;
  }

  async commit(): Promise<void> {
    try {
      await this.#run('commit');
    } catch (error) {
      throw this.#isBroken ? outcomeUnknown(error) : error;
    } finally {
      this.#isInTransaction = false;
    }
  }

  /** What cannot be rolled back ends with its connection. */
  async rollback(): Promise<void> {
    this.#isInTransaction = false;
    if (this.#isBroken) return;
    await this.#run('rollback').catch(() => {
      this.#isBroken = true;
    });
  }

  release(): void {
    this.#pool.release(this.#client, this.#isBroken);
  }

  async #run<R>(text: string, values: readonly unknown[] = []): Promise<QueryResult<R>> {
    const name = nameOf(text);
    try {
      const query: TimedQuery = {
        text,
        values: [...values],
        ...(name === undefined ? {} : { name }),
        query_timeout: this.#pool.answerTimeoutMs,
      };
      const result = await this.#client.query(query);
      return { rows: result.rows as R[], numAffectedRows: BigInt(result.rowCount ?? 0) };
    } catch (error) {
      if (isConnectionLost(error)) this.#isBroken = true;
      throw toPostgresError(error);
    }
  }
}

/** Absent: the statement is not worth keeping. */
function nameOf(text: string): string | undefined {
  const known = PREPARED.get(text);
  if (known !== undefined) return known;
  if (text.length > MAX_PREPARED_CHARACTERS || PREPARED.size >= MAX_PREPARED || !isRepeated(text)) return undefined;
  const name = `assayer_${PREPARED.size}`;
  PREPARED.set(text, name);
  return name;
}

/** Statements that change a schema, begin or end something are not prepared. */
function isRepeated(text: string): boolean {
  return /^(select|insert|update|delete|with) /.test(text);
}
