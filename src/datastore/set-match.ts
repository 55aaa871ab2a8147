import { type RawBuilder, type SqlBool, sql } from 'kysely';
import { SpiffeError } from '../spiffe/error.ts';

/**
 * How a row's set S compares with the asked set A: `exact` S = A, `subset` S ⊆ A and not empty, `superset` S ⊇ A, `any` S ∩ A not empty.
 */
export type SetMatch = 'exact' | 'subset' | 'superset' | 'any';

/** Where the sets are stored: `table` has a row for each element, which `ownerColumn` joins to `owner`. */
export interface StoredSet {
  readonly owner: string;
  readonly table: string;
  readonly ownerColumn: string;
  readonly columns: readonly string[];
}

const MAX_ELEMENTS = 5000;

/**
 * The condition that the set of `owner` matches `wanted`, whose elements are tuples of `columns`.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` for an empty set, `TOO_LARGE` for one of more than 5000
 */
export function matchesSet(
  stored: StoredSet,
  match: SetMatch,
  wanted: readonly (readonly string[])[],
): RawBuilder<SqlBool> {
  if (wanted.length === 0) {
    throw new SpiffeError('ARGUMENT_INVALID', `filter of match "${match}" is empty: give one element at least`);
  }
  if (wanted.length > MAX_ELEMENTS) {
    throw new SpiffeError('TOO_LARGE', `filter has ${wanted.length} elements: ${MAX_ELEMENTS} at most`);
  }
  const distinct = [...new Map(wanted.map((element) => [JSON.stringify(element), element])).values()];
  const owner = sql.ref(stored.owner);
  const table = sql.table(stored.table);
  const ownerColumn = sql.ref(stored.ownerColumn);
  const element = (prefix: string) => sql`(${sql.join(stored.columns.map((column) => sql.ref(`${prefix}${column}`)))})`;
  const values = sql`(values ${sql.join(distinct.map((tuple) => sql`(${sql.join(tuple)})`))})`;

  const holders = sql`select ${ownerColumn} from ${table} where ${element('')} in ${values}`;
  const holdsAny = sql<SqlBool>`${owner} in (${holders})`;
  const holdsAll = sql<SqlBool>`${owner} in (${holders} group by ${ownerColumn} having count(*) = ${distinct.length})`;
  const holdsNoOther = sql<SqlBool>`not exists (select 1 from ${table} as held where ${sql.ref(`held.${stored.ownerColumn}`)} = ${owner} and ${element('held.')} not in ${values})`;
  switch (match) {
    case 'any':
      return holdsAny;
    case 'superset':
      return holdsAll;
    case 'subset':
      return sql`(${holdsAny} and ${holdsNoOther})`;
    case 'exact':
      return sql`(${holdsAll} and ${holdsNoOther})`;
  }
}
