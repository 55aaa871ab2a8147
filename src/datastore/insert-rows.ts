import { type Compilable, type Insertable, type InsertResult, type Kysely, SqliteAdapter } from 'kysely';
import { PreparedQuery } from './prepared-query.ts';
import type { DatastoreSchema } from './schema.ts';
import { chunksOf } from './session.ts';

type Db = Kysely<DatastoreSchema>;
type Table = keyof DatastoreSchema;
type RowOf<Name extends Table> = Insertable<DatastoreSchema[Name]>;

/** Rows of one prepared statement at most: a power of two. */
const MAX_ROWS = 256;

/**
 * Inserts many rows of one kind. SQLite takes them by statements that are the same each time, one for each power of two;
 * PostgreSQL, where each statement is a way there and back, by as few as can be.
 */
export class RowInserter<Name extends Table, Returned = InsertResult> {
  readonly #columns: readonly (keyof RowOf<Name> & string)[];
  readonly #insert: (db: Db, rows: readonly RowOf<Name>[]) => Compilable<Returned>;
  readonly #bySize = new Map<number, PreparedQuery<Returned>>();

  constructor(
    columns: readonly (keyof RowOf<Name> & string)[],
    insert: (db: Db, rows: readonly RowOf<Name>[]) => Compilable<Returned>,
  ) {
    this.#columns = columns;
    this.#insert = insert;
  }

  /** @returns what the statements return. */
  async insert(db: Db, rows: readonly RowOf<Name>[]): Promise<readonly Returned[]> {
    const returned: Returned[] = [];
    if (!(db.getExecutor().adapter instanceof SqliteAdapter)) {
      for (const chunk of chunksOf(rows)) {
        returned.push(...(await db.executeQuery<Returned>(this.#insert(db, chunk).compile())).rows);
      }
      return returned;
    }
    for (let start = 0; start < rows.length; ) {
      const size = Math.min(2 ** Math.floor(Math.log2(rows.length - start)), MAX_ROWS);
      const some = rows.slice(start, start + size);
      returned.push(
        ...(await this.#ofSize(size, some).run(
          db,
          some.flatMap((row) => this.#valuesOf(row)),
        )),
      );
      start += size;
    }
    return returned;
  }

  #ofSize(size: number, rows: readonly RowOf<Name>[]): PreparedQuery<Returned> {
    const known = this.#bySize.get(size);
    if (known !== undefined) return known;
    const ordered = rows.map((row) => Object.fromEntries(this.#columns.map((column) => [column, row[column]])));
    const query = new PreparedQuery<Returned>((db) => this.#insert(db, ordered as unknown as readonly RowOf<Name>[]));
    this.#bySize.set(size, query);
    return query;
  }

  #valuesOf(row: RowOf<Name>): readonly unknown[] {
    return this.#columns.map((column) => row[column]);
  }
}
