import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { atomically, type Session } from './session.ts';

export interface VerdictKind {
  readonly agentId: SpiffeId;
  /** Such as `held`. */
  readonly verdict: string;
  readonly reason: string;
  /** Selector values that name a policy and its version. */
  readonly policies: readonly string[];
}

export interface RecordedVerdict extends VerdictKind {
  /** Of the last evidence, hex; empty where there was none. */
  readonly evidenceSha256: string;
  readonly count: number;
  /** Unix seconds. */
  readonly firstAt: number;
  readonly lastAt: number;
}

/** What a verdict is beside the one before it. */
export interface VerdictChange {
  readonly isChange: boolean;
  /** Undefined where it is the first, or no change. */
  readonly before: Pick<VerdictKind, 'verdict' | 'policies'> | undefined;
}

/** Rows of one agent that are kept. */
export const MAX_VERDICTS = 100;

/** What the evidence of agents came to; verdicts that follow each other and are alike are one row. */
export class VerdictRepository {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** @returns whether it is unlike the one before, and that one. */
  async record({ agentId, verdict, reason, policies, ...times }: RecordedVerdict): Promise<VerdictChange> {
    return await atomically(this.#session, async ({ db }) => {
      const kind = { agent_id: agentId, verdict, reason, policies: policies.join('\n') };
      const newest = await db
        .selectFrom('agent_verdict')
        .selectAll()
        .where('agent_id', '=', agentId)
        .orderBy('number', 'desc')
        .limit(1)
        .executeTakeFirst();
      const isAlike =
        newest?.verdict === kind.verdict && newest.reason === kind.reason && newest.policies === kind.policies;
      const last = { evidence_sha256: times.evidenceSha256, last_at: times.lastAt };
      if (newest !== undefined && isAlike) {
        await db
          .updateTable('agent_verdict')
          .set({ ...last, count: newest.count + times.count })
          .where('agent_id', '=', agentId)
          .where('number', '=', newest.number)
          .execute();
        return { isChange: false, before: undefined };
      }
      const number = (newest?.number ?? 0) + 1;
      const row = { ...kind, ...last, number, count: times.count, first_at: times.firstAt };
      await db.insertInto('agent_verdict').values(row).execute();
      if (number > MAX_VERDICTS) {
        await db
          .deleteFrom('agent_verdict')
          .where('agent_id', '=', agentId)
          .where('number', '<=', number - MAX_VERDICTS)
          .execute();
      }
      const before = newest && { verdict: newest.verdict, policies: toPolicies(newest.policies) };
      return { isChange: true, before };
    });
  }

  /** The newest first. */
  async list(agentId: SpiffeId, limit: number): Promise<readonly RecordedVerdict[]> {
    const rows = await this.#session.db
      .selectFrom('agent_verdict')
      .selectAll()
      .where('agent_id', '=', agentId)
      .orderBy('number', 'desc')
      .limit(limit)
      .execute();
    return rows.map((row) => ({
      agentId: row.agent_id as SpiffeId,
      verdict: row.verdict,
      reason: row.reason,
      policies: toPolicies(row.policies),
      evidenceSha256: row.evidence_sha256,
      count: row.count,
      firstAt: row.first_at,
      lastAt: row.last_at,
    }));
  }

  /**
   * Agents of an attestor that once showed evidence without being asked for an SVID, and have not for so long.
   *
   * @param before Unix seconds
   */
  async overdue(attestationType: string, before: number, limit: number): Promise<readonly SpiffeId[]> {
    const rows = await this.#session.db
      .selectFrom('agent_verdict as newest')
      .innerJoin('agent', 'agent.spiffe_id', 'newest.agent_id')
      .select('newest.agent_id')
      .where('agent.attestation_type', '=', attestationType)
      .where('agent.banned', '=', 0)
      .where('newest.verdict', 'in', ['held', 'changed'])
      .where('newest.last_at', '<', before)
      .where((eb) =>
        eb.not(
          eb.exists(
            eb
              .selectFrom('agent_verdict as later')
              .select('later.number')
              .whereRef('later.agent_id', '=', 'newest.agent_id')
              .whereRef('later.number', '>', 'newest.number'),
          ),
        ),
      )
      .orderBy('newest.agent_id')
      .limit(limit)
      .execute();
    return rows.map(({ agent_id }) => agent_id as SpiffeId);
  }

  /** Forgets what is old. */
  async prune(olderThanSeconds: number): Promise<void> {
    await this.#session.db
      .deleteFrom('agent_verdict')
      .where('last_at', '<', this.#session.now() - olderThanSeconds)
      .execute();
  }
}

function toPolicies(lines: string): readonly string[] {
  return lines === '' ? [] : lines.split('\n');
}
