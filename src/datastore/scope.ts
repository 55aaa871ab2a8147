import { type Expression, expressionBuilder, type SqlBool, sql } from 'kysely';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { DatastoreSchema } from './schema.ts';

/** A part of all SPIFFE IDs: some, and what is at or below others. */
export interface IdScope {
  readonly ids: readonly SpiffeId[];
  /** Each covers itself and what is below, by whole segments of its path. */
  readonly prefixes: readonly SpiffeId[];
}

/** A part of all entries: conditions that all hold; an absent one holds always. */
export interface EntryScope {
  readonly parent?: IdScope;
  readonly spiffeId?: IdScope;
  /** Every selector has one of these types. */
  readonly selectorTypes?: readonly string[];
}

/** One of `scopes` at least; none: nothing is in it. */
export function entryInScope(scopes: readonly EntryScope[]): Expression<SqlBool> {
  const eb = expressionBuilder<DatastoreSchema, 'registration_entry'>();
  return eb.or(
    scopes.map(({ parent, spiffeId, selectorTypes }) => {
      const all: Expression<SqlBool>[] = [];
      if (parent !== undefined) all.push(idInScope('registration_entry.parent_id', parent));
      if (spiffeId !== undefined) all.push(idInScope('registration_entry.spiffe_id', spiffeId));
      if (selectorTypes !== undefined) all.push(hasTypesOf(selectorTypes));
      return eb.and(all);
    }),
  );
}

/** One of `scopes` at least; none: nothing is in it. */
export function agentInScope(scopes: readonly IdScope[]): Expression<SqlBool> {
  return expressionBuilder<DatastoreSchema, 'agent'>().or(scopes.map((scope) => idInScope('agent.spiffe_id', scope)));
}

/** By `substr`, which compares the same bytes whatever the collation, and knows no wildcards. */
function idInScope(column: string, { ids, prefixes }: IdScope): Expression<SqlBool> {
  const reference = sql.ref<string>(column);
  const conditions = [
    ...ids.map((id) => sql<SqlBool>`${reference} = ${id}`),
    ...prefixes.map((prefix) => {
      const below = `${prefix}/`;
      return sql<SqlBool>`(${reference} = ${prefix} or substr(${reference}, 1, ${sql.lit(below.length)}) = ${below})`;
    }),
  ];
  return conditions.length === 0 ? sql<SqlBool>`1 = 0` : sql<SqlBool>`(${sql.join(conditions, sql` or `)})`;
}

function hasTypesOf(types: readonly string[]): Expression<SqlBool> {
  const allowed = types.length === 0 ? sql`1 = 0` : sql`held.type in (${sql.join(types)})`;
  return sql<SqlBool>`not exists (select 1 from entry_selector as held where held.entry_id = registration_entry.id and not (${allowed}))`;
}
