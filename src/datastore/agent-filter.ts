import { type Expression, expressionBuilder, type SqlBool } from 'kysely';
import type { Selector } from '../spiffe/selector.ts';
import type { DatastoreSchema } from './schema.ts';
import { agentInScope, type IdScope } from './scope.ts';
import { toFlag } from './session.ts';
import { matchesSet, type SetMatch } from './set-match.ts';

/** Conditions that all hold; an absent one holds always. */
export interface AgentFilter {
  readonly attestationType?: string;
  readonly selectors?: { readonly match: SetMatch; readonly selectors: readonly Selector[] };
  readonly banned?: boolean;
  readonly canReattest?: boolean;
  /** Unix seconds: the SVID in use ends before. */
  readonly expiresBefore?: number;
  /** Of which one has to hold for its SPIFFE ID; none: no agent's does. */
  readonly scopes?: readonly IdScope[];
}

const SELECTORS = {
  owner: 'agent.spiffe_id',
  table: 'agent_selector',
  ownerColumn: 'spiffe_id',
  columns: ['type', 'value'],
} as const;

/** @throws SpiffeError `ARGUMENT_INVALID`, `TOO_LARGE` for a set that cannot be asked for */
export function agentCondition(filter: AgentFilter): Expression<SqlBool> {
  const eb = expressionBuilder<DatastoreSchema, 'agent'>();
  const all: Expression<SqlBool>[] = [];
  if (filter.attestationType !== undefined) all.push(eb('attestation_type', '=', filter.attestationType));
  if (filter.banned !== undefined) all.push(eb('banned', '=', toFlag(filter.banned)));
  if (filter.canReattest !== undefined) all.push(eb('can_reattest', '=', toFlag(filter.canReattest)));
  if (filter.expiresBefore !== undefined) all.push(eb('expires_at', '<', filter.expiresBefore));
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
  if (filter.scopes !== undefined) all.push(agentInScope(filter.scopes));
  return eb.and(all);
}
