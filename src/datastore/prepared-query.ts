import type { Compilable, CompiledQuery, Kysely } from 'kysely';
import type { DatastoreSchema } from './schema.ts';

type Db = Kysely<DatastoreSchema>;

/** A query that is built once and run with other values: to build one takes Kysely longer than SQLite to run it. */
export class PreparedQuery<Row> {
  readonly #build: (db: Db) => Compilable<Row>;
  /** By the adapter, of which each engine has one. */
  readonly #compiled = new WeakMap<object, CompiledQuery<Row>>();

  /** @param build with any value in the place of each that varies. */
  constructor(build: (db: Db) => Compilable<Row>) {
    this.#build = build;
  }

  /** @param values as they stand in the query, from left to right, all of them. */
  async run(db: Db, values: readonly unknown[]): Promise<readonly Row[]> {
    const { adapter } = db.getExecutor();
    let compiled = this.#compiled.get(adapter);
    if (compiled === undefined) {
      compiled = this.#build(db).compile();
      this.#compiled.set(adapter, compiled);
    }
    if (values.length !== compiled.parameters.length) {
      throw new Error(`the query takes ${compiled.parameters.length} values, not ${values.length}`);
    }
    const { rows } = await db.executeQuery<Row>({ ...compiled, parameters: values });
    return rows;
  }
}

/** Keys of one statement at most. */
const MAX_KEYS = 1024;

/** A query for all rows of some keys, by as many keys as the next power of two: the last one stands for those too many. */
export class QueryByKeys<Row> {
  readonly #build: (db: Db, keys: readonly string[]) => Compilable<Row>;
  readonly #bySize = new Map<number, PreparedQuery<Row>>();

  /** @param build with the keys as its only values. */
  constructor(build: (db: Db, keys: readonly string[]) => Compilable<Row>) {
    this.#build = build;
  }

  /** @returns in no order of the keys. */
  async run(db: Db, keys: readonly string[]): Promise<readonly Row[]> {
    const rows: Row[] = [];
    for (let start = 0; start < keys.length; start += MAX_KEYS) {
      const some = keys.slice(start, start + MAX_KEYS);
      const size = 2 ** Math.ceil(Math.log2(some.length));
      const last = some.at(-1) ?? '';
      const padded = [...some, ...Array.from({ length: size - some.length }, () => last)];
      for (const row of await this.#ofSize(size, padded).run(db, padded)) rows.push(row);
    }
    return rows;
  }

  #ofSize(size: number, keys: readonly string[]): PreparedQuery<Row> {
    let query = this.#bySize.get(size);
    if (query === undefined) {
      query = new PreparedQuery((db) => this.#build(db, keys));
      this.#bySize.set(size, query);
    }
    return query;
  }
}
