import { type Expression, expressionBuilder, type SqlBool } from 'kysely';
import type { Selector } from '../spiffe/selector.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { DatastoreSchema } from './schema.ts';
import { type EntryScope, entryInScope } from './scope.ts';
import { toFlag } from './session.ts';
import { matchesSet, type SetMatch } from './set-match.ts';

/** Conditions that all hold; an absent one holds always. */
export interface EntryFilter {
  readonly parentId?: SpiffeId;
  readonly spiffeId?: SpiffeId;
  readonly selectors?: { readonly match: SetMatch; readonly selectors: readonly Selector[] };
  readonly federatesWith?: { readonly match: SetMatch; readonly trustDomains: readonly TrustDomain[] };
  readonly hint?: string;
  readonly downstream?: boolean;
  /** Of which one has to hold; none: no entry does. */
  readonly scopes?: readonly EntryScope[];
}

const SELECTORS = {
  owner: 'registration_entry.id',
  table: 'entry_selector',
  ownerColumn: 'entry_id',
  columns: ['type', 'value'],
} as const;
const FEDERATES_WITH = {
  owner: 'registration_entry.id',
  table: 'entry_federates_with',
  ownerColumn: 'entry_id',
  columns: ['trust_domain'],
} as const;

/** @throws SpiffeError `ARGUMENT_INVALID`, `TOO_LARGE` for a set that cannot be asked for */
export function entryCondition(filter: EntryFilter): Expression<SqlBool> {
  const eb = expressionBuilder<DatastoreSchema, 'registration_entry'>();
  const all: Expression<SqlBool>[] = [];
  if (filter.parentId !== undefined) all.push(eb('parent_id', '=', filter.parentId));
  if (filter.spiffeId !== undefined) all.push(eb('spiffe_id', '=', filter.spiffeId));
  if (filter.hint !== undefined) all.push(eb('hint', '=', filter.hint));
  if (filter.downstream !== undefined) all.push(eb('downstream', '=', toFlag(filter.downstream)));
  if (filter.selectors !== undefined) {
    const { match, selectors } = filter.selectors;
    all.push(
      matchesSet(
        SELECTORS,
        match,
        selectors.map(({ type, value }) => [type, value]),
      ),
    );
  }
  if (filter.federatesWith !== undefined) {
    const { match, trustDomains } = filter.federatesWith;
    all.push(
      matchesSet(
        FEDERATES_WITH,
        match,
        trustDomains.map((trustDomain) => [trustDomain]),
      ),
    );
  }
  if (filter.scopes !== undefined) all.push(entryInScope(filter.scopes));
  return eb.and(all);
}
