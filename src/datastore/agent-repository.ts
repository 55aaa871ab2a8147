import { SpiffeError } from '../spiffe/error.ts';
import { distinctSelectors, type Selector } from '../spiffe/selector.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { type AgentFilter, agentCondition } from './agent-filter.ts';
import {
  type AttestedAgent,
  insertAgentSelectors,
  loadAgents,
  newAgentRows,
  replaceAgentSelectors,
  toAgentRow,
} from './agent-rows.ts';
import { EventLog, type EventPage } from './event-log.ts';
import { type Page, type PageRequest, readPage } from './page.ts';
import { QueryByKeys } from './prepared-query.ts';
import { atomically, chunksOf, type Session } from './session.ts';

export type { AgentFilter, AttestedAgent };

/** What attestation found; the rest starts empty. */
export type NewAgent = Pick<
  AttestedAgent,
  'spiffeId' | 'attestationType' | 'serialNumber' | 'expiresAt' | 'canReattest' | 'selectors'
>;

/** What an update replaces: the keys that are present are its mask. */
export type AgentChanges = Partial<Omit<AttestedAgent, 'spiffeId' | 'banned' | 'agentVersion' | 'lastSeenAt'>>;

export interface AgentPruning {
  /** Unix seconds. */
  readonly expiredBefore: number;
  /** Also those that cannot come back by themselves. */
  readonly includeNonReattestable?: boolean;
  /** At most; absent: all. */
  readonly limit?: number;
}

const agentsById = new QueryByKeys((db, ids) => db.selectFrom('agent').selectAll().where('spiffe_id', 'in', ids));

/** Attested nodes; every change but `recordSeen` appends to the event log in the same transaction. */
export class AgentRepository {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** @throws SpiffeError `ALREADY_EXISTS` */
  async create(agent: NewAgent): Promise<AttestedAgent> {
    return atomically(this.#session, async (session) => {
      const created = {
        ...agent,
        selectors: distinctSelectors(agent.selectors),
        newSerialNumber: '',
        newExpiresAt: 0,
        banned: false,
        agentVersion: '',
        lastSeenAt: 0,
      };
      const inserted = await newAgentRows.insert(session.db, [toAgentRow(created)]);
      if (inserted.length === 0) throw new SpiffeError('ALREADY_EXISTS', `agent "${agent.spiffeId}" exists already`);
      await insertAgentSelectors(session.db, agent.spiffeId, created.selectors);
      await new EventLog(session, 'agent').append('created', [agent.spiffeId]);
      return created;
    });
  }

  /** @throws SpiffeError `AGENT_NOT_FOUND` */
  async get(spiffeId: SpiffeId): Promise<AttestedAgent> {
    const agent = await this.find(spiffeId);
    if (agent === undefined) throw notFound(spiffeId);
    return agent;
  }

  async find(spiffeId: SpiffeId): Promise<AttestedAgent | undefined> {
    const [agent] = await this.findMany([spiffeId]);
    return agent;
  }

  /** Those of `spiffeIds` that exist. */
  async findMany(spiffeIds: readonly SpiffeId[]): Promise<readonly AttestedAgent[]> {
    const { db } = this.#session;
    return loadAgents(db, await agentsById.run(db, spiffeIds));
  }

  /** @throws SpiffeError `AGENT_NOT_FOUND` */
  async update(spiffeId: SpiffeId, changes: AgentChanges): Promise<AttestedAgent> {
    return this.#change(spiffeId, (agent) => ({ ...agent, ...changes }));
  }

  /**
   * Has the SVID that was issued for renewal in the place of the one in use, if it is the newest still: of an agent that
   * attested again or was banned meanwhile it is not.
   *
   * @throws SpiffeError `AGENT_NOT_FOUND`
   */
  async useRenewed(spiffeId: SpiffeId, serialNumber: string): Promise<AttestedAgent> {
    return this.#change(spiffeId, (agent) =>
      agent.banned || agent.newSerialNumber !== serialNumber
        ? agent
        : { ...agent, serialNumber, expiresAt: agent.newExpiresAt, newSerialNumber: '', newExpiresAt: 0 },
    );
  }

  /**
   * Remembers an SVID that was issued to whoever showed the one in use.
   *
   * @throws SpiffeError `AGENT_NOT_FOUND`, `FAILED_PRECONDITION` where another one is in use by now
   */
  async renew(spiffeId: SpiffeId, shown: string, issued: { serialNumber: string; expiresAt: number }): Promise<void> {
    await this.#change(spiffeId, (agent) => {
      if (agent.serialNumber === shown) {
        return { ...agent, newSerialNumber: issued.serialNumber, newExpiresAt: issued.expiresAt };
      }
      throw new SpiffeError('FAILED_PRECONDITION', `agent "${spiffeId}" attested or renewed meanwhile: call again`);
    });
  }

  /** @throws SpiffeError `AGENT_NOT_FOUND` */
  async setSelectors(spiffeId: SpiffeId, selectors: readonly Selector[]): Promise<void> {
    await this.update(spiffeId, { selectors });
  }

  /** Marks the agent and forgets its serial numbers; it stays banned until it is deleted. @throws SpiffeError `AGENT_NOT_FOUND` */
  async ban(spiffeId: SpiffeId): Promise<void> {
    await this.#change(spiffeId, (agent) => ({
      ...agent,
      banned: true,
      serialNumber: '',
      newSerialNumber: '',
      newExpiresAt: 0,
    }));
  }

  /** Notes a contact, now, and the version where it is told; an agent that is gone is let pass. */
  async recordSeen(spiffeId: SpiffeId, agentVersion?: string): Promise<void> {
    const { db, now } = this.#session;
    await db
      .updateTable('agent')
      .set({ last_seen_at: now(), ...(agentVersion === undefined ? {} : { agent_version: agentVersion }) })
      .where('spiffe_id', '=', spiffeId)
      .execute();
  }

  /** In the order of their SPIFFE IDs; without a page, all. */
  async list(filter: AgentFilter = {}, page?: PageRequest): Promise<Page<AttestedAgent>> {
    const { db } = this.#session;
    const condition = agentCondition(filter);
    return readPage(
      page,
      (agent) => agent.spiffeId,
      async (after, limit) => {
        const rows = await db
          .selectFrom('agent')
          .selectAll()
          .where('spiffe_id', '>', after)
          .where(condition)
          .orderBy('spiffe_id')
          .limit(limit)
          .execute();
        return loadAgents(db, rows);
      },
    );
  }

  async count(filter: AgentFilter = {}): Promise<number> {
    const { count } = await this.#session.db
      .selectFrom('agent')
      .select((eb) => eb.fn.countAll().as('count'))
      .where(agentCondition(filter))
      .executeTakeFirstOrThrow();
    return Number(count);
  }

  /** @returns the agent that was deleted. @throws SpiffeError `AGENT_NOT_FOUND` */
  async delete(spiffeId: SpiffeId): Promise<AttestedAgent> {
    return atomically(this.#session, async (session) => {
      const agent = await new AgentRepository(session).get(spiffeId);
      const deleted = await deleteAgents(session, [spiffeId]);
      if (deleted.length === 0) throw notFound(spiffeId); // another call was first
      return agent;
    });
  }

  /** Deletes agents whose SVID expired, but never a banned one. @returns their SPIFFE IDs. */
  async prune({ expiredBefore, includeNonReattestable = false, limit }: AgentPruning): Promise<readonly SpiffeId[]> {
    return atomically(this.#session, async (session) => {
      const { db } = session;
      let due = db
        .selectFrom('agent')
        .select('spiffe_id')
        .where('expires_at', '<', expiredBefore)
        .where('new_expires_at', '<', expiredBefore)
        .where('banned', '=', 0)
        .orderBy('expires_at');
      if (!includeNonReattestable) due = due.where('can_reattest', '=', 1);
      if (limit !== undefined) due = due.limit(limit);
      const locked = await db
        .updateTable('agent')
        .set((eb) => ({ banned: eb.ref('banned') }))
        .where('spiffe_id', 'in', due)
        .where('expires_at', '<', expiredBefore) // again: the agent may have renewed as this waited for it
        .where('new_expires_at', '<', expiredBefore)
        .where('banned', '=', 0)
        .returning(['spiffe_id', 'expires_at'])
        .execute();
      locked.sort((a, b) => a.expires_at - b.expires_at);
      return deleteAgents(
        session,
        locked.map(({ spiffe_id }) => spiffe_id as SpiffeId),
      );
    });
  }

  /** Sequence of the last event; 0: none yet. */
  async latestEvent(): Promise<number> {
    return new EventLog(this.#session, 'agent').latest();
  }

  /** Event keys are SPIFFE IDs. */
  async eventsAfter(sequence: number, limit?: number): Promise<EventPage> {
    return new EventLog(this.#session, 'agent').after(sequence, limit);
  }

  /** @returns how many */
  async pruneEvents(olderThanSeconds: number): Promise<number> {
    return new EventLog(this.#session, 'agent').prune(olderThanSeconds);
  }

  async #change(spiffeId: SpiffeId, change: (agent: AttestedAgent) => AttestedAgent): Promise<AttestedAgent> {
    return atomically(this.#session, async (session) => {
      const { db } = session;
      const locked = await db
        .updateTable('agent')
        .set((eb) => ({ banned: eb.ref('banned') }))
        .where('spiffe_id', '=', spiffeId)
        .returningAll()
        .execute();
      const [agent] = await loadAgents(db, locked);
      if (agent === undefined) throw notFound(spiffeId);
      const changed = change(agent);
      await db.updateTable('agent').set(toAgentRow(changed)).where('spiffe_id', '=', spiffeId).execute();
      if (changed.selectors !== agent.selectors) await replaceAgentSelectors(db, spiffeId, changed.selectors);
      await new EventLog(session, 'agent').append('updated', [spiffeId]);
      return changed;
    });
  }
}

/** @returns those that were there. */
async function deleteAgents(session: Session, spiffeIds: readonly SpiffeId[]): Promise<readonly SpiffeId[]> {
  const gone = new Set<string>();
  for (const chunk of chunksOf(spiffeIds)) {
    const deleted = await session.db
      .deleteFrom('agent')
      .where('spiffe_id', 'in', chunk)
      .returning('spiffe_id')
      .execute();
    for (const { spiffe_id } of deleted) gone.add(spiffe_id);
  }
  const deleted = spiffeIds.filter((spiffeId) => gone.has(spiffeId));
  await new EventLog(session, 'agent').append('deleted', deleted);
  return deleted;
}

function notFound(spiffeId: SpiffeId): SpiffeError {
  return new SpiffeError('AGENT_NOT_FOUND', `no attested agent "${spiffeId}"`);
}
