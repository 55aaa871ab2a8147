import type { Kysely } from 'kysely';
import { distinctSelectors, type Selector } from '../spiffe/selector.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { RowInserter } from './insert-rows.ts';
import { Lists } from './lists.ts';
import { QueryByKeys } from './prepared-query.ts';
import type { DatastoreSchema } from './schema.ts';
import { toFlag } from './session.ts';

/** An attested node. Times are Unix seconds. */
export interface AttestedAgent {
  readonly spiffeId: SpiffeId;
  /** Attestation data type, such as `tpm` or `join_token`. */
  readonly attestationType: string;
  /** Decimal serial number of the SVID in use; empty when banned. */
  readonly serialNumber: string;
  readonly expiresAt: number;
  /** Of the SVID that was issued for renewal and not seen yet; empty and 0: none. */
  readonly newSerialNumber: string;
  readonly newExpiresAt: number;
  readonly banned: boolean;
  readonly canReattest: boolean;
  readonly selectors: readonly Selector[];
  /** Empty: not told. */
  readonly agentVersion: string;
  /** 0: never. */
  readonly lastSeenAt: number;
}

type AgentRow = DatastoreSchema['agent'];

const selectorsByAgent = new QueryByKeys((db, ids) =>
  db
    .selectFrom('agent_selector')
    .select(['spiffe_id', 'type', 'value'])
    .where('spiffe_id', 'in', ids)
    .orderBy('position'),
);

/** Adds selectors to rows: one query for a thousand rows. */
export async function loadAgents(
  db: Kysely<DatastoreSchema>,
  rows: readonly AgentRow[],
): Promise<readonly AttestedAgent[]> {
  const selectors = new Lists<Selector>();
  const ids = rows.map(({ spiffe_id }) => spiffe_id);
  for (const { spiffe_id, type, value } of await selectorsByAgent.run(db, ids))
    selectors.add(spiffe_id, { type, value });
  return rows.map((row) => ({
    spiffeId: row.spiffe_id as SpiffeId,
    attestationType: row.attestation_type,
    serialNumber: row.serial_number,
    expiresAt: row.expires_at,
    newSerialNumber: row.new_serial_number,
    newExpiresAt: row.new_expires_at,
    banned: row.banned !== 0,
    canReattest: row.can_reattest !== 0,
    selectors: selectors.of(row.spiffe_id),
    agentVersion: row.agent_version,
    lastSeenAt: row.last_seen_at,
  }));
}

export function toAgentRow(agent: AttestedAgent): AgentRow {
  return {
    spiffe_id: agent.spiffeId,
    attestation_type: agent.attestationType,
    serial_number: agent.serialNumber,
    expires_at: agent.expiresAt,
    new_serial_number: agent.newSerialNumber,
    new_expires_at: agent.newExpiresAt,
    banned: toFlag(agent.banned),
    can_reattest: toFlag(agent.canReattest),
    agent_version: agent.agentVersion,
    last_seen_at: agent.lastSeenAt,
  };
}

/** Leaves out those that are there. */
export const newAgentRows = new RowInserter<'agent', Pick<AgentRow, 'spiffe_id'>>(
  [
    'spiffe_id',
    'attestation_type',
    'serial_number',
    'expires_at',
    'new_serial_number',
    'new_expires_at',
    'banned',
    'can_reattest',
    'agent_version',
    'last_seen_at',
  ],
  (db, rows) =>
    db
      .insertInto('agent')
      .values(rows)
      .onConflict((conflict) => conflict.doNothing())
      .returning('spiffe_id'),
);

const agentSelectorRows = new RowInserter<'agent_selector'>(['spiffe_id', 'position', 'type', 'value'], (db, rows) =>
  db.insertInto('agent_selector').values(rows),
);

/** Puts `selectors` in the place of those that are stored; a repeated one counts once. */
export async function replaceAgentSelectors(
  db: Kysely<DatastoreSchema>,
  spiffe_id: SpiffeId,
  selectors: readonly Selector[],
): Promise<void> {
  await db.deleteFrom('agent_selector').where('spiffe_id', '=', spiffe_id).execute();
  await insertAgentSelectors(db, spiffe_id, distinctSelectors(selectors));
}

/** Writes the selectors of an agent that has none stored. */
export async function insertAgentSelectors(
  db: Kysely<DatastoreSchema>,
  spiffe_id: SpiffeId,
  selectors: readonly Selector[],
): Promise<void> {
  await agentSelectorRows.insert(
    db,
    selectors.map(({ type, value }, position) => ({ spiffe_id, position, type, value })),
  );
}
