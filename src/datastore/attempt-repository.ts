import { createHash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import { atomically, chunksOf, type Session, toFlag } from './session.ts';

/** What attempts that are alike have in common. Texts of a peer: whoever adds them has cut them. */
export interface AttemptKind {
  readonly attestationType: string;
  readonly address: string;
  /** Empty: it was not found out. */
  readonly agentId: string;
  readonly attested: boolean;
  readonly reason: string;
}

export interface Attempt extends AttemptKind {
  readonly count: number;
  /** Unix seconds. */
  readonly firstAt: number;
  readonly lastAt: number;
}

export interface AttemptFilter {
  readonly attested: boolean;
  readonly attestationType?: string;
  readonly address?: string;
}

export interface AttemptLimits {
  /** Rows of those that went well, and as many of those that did not. */
  readonly rows: number;
  /** Rows of one address among them. */
  readonly rowsPerAddress: number;
  readonly olderThanSeconds: number;
}

/** Attempts to attest; those that are alike are one row. */
export class AttemptRepository {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Adds to what is known of attempts of the same kind. */
  async add(attempts: readonly Attempt[]): Promise<void> {
    await atomically(this.#session, async ({ db }) => {
      for (const chunk of chunksOf(attempts)) {
        const rows = chunk.map((attempt) => ({
          id: idOf(attempt),
          attestation_type: attempt.attestationType,
          address: attempt.address,
          agent_id: attempt.agentId,
          attested: toFlag(attempt.attested),
          reason: attempt.reason,
          count: attempt.count,
          first_at: attempt.firstAt,
          last_at: attempt.lastAt,
        }));
        await db
          .insertInto('attestation_attempt')
          .values(rows)
          .onConflict((conflict) =>
            conflict.column('id').doUpdateSet((eb) => ({
              count: eb('attestation_attempt.count', '+', eb.ref('excluded.count')),
              last_at: eb.ref('excluded.last_at'),
            })),
          )
          .execute();
      }
    });
  }

  /** The newest first. */
  async list({ attested, attestationType, address }: AttemptFilter, limit: number): Promise<readonly Attempt[]> {
    let query = this.#session.db.selectFrom('attestation_attempt').selectAll().where('attested', '=', toFlag(attested));
    if (attestationType !== undefined) query = query.where('attestation_type', '=', attestationType);
    if (address !== undefined) query = query.where('address', '=', address);
    const rows = await query.orderBy('last_at', 'desc').orderBy('id').limit(limit).execute();
    return rows.map((row) => ({
      attestationType: row.attestation_type,
      address: row.address,
      agentId: row.agent_id,
      attested: row.attested !== 0,
      reason: row.reason,
      count: row.count,
      firstAt: row.first_at,
      lastAt: row.last_at,
    }));
  }

  /** Forgets what is old, and the oldest of what is too much, first where one address has too much. @returns how many */
  async prune({ rows, rowsPerAddress, olderThanSeconds }: AttemptLimits): Promise<number> {
    return atomically(this.#session, async ({ db, now }) => {
      const { numDeletedRows: old } = await db
        .deleteFrom('attestation_attempt')
        .where('last_at', '<', now() - olderThanSeconds)
        .executeTakeFirst();
      const ofOneAddress = await deleteBeyond(db, sql`attested, address`, rowsPerAddress);
      return Number(old) + ofOneAddress + (await deleteBeyond(db, sql`attested`, rows));
    });
  }
}

/** Keeps the newest rows of each group. */
async function deleteBeyond(db: Session['db'], group: RawBuilder<unknown>, rows: number): Promise<number> {
  const ranked = db
    .selectFrom('attestation_attempt')
    .select(['id', sql<number>`row_number() over (partition by ${group} order by last_at desc, id)`.as('place')]);
  const { numDeletedRows } = await db
    .deleteFrom('attestation_attempt')
    .where('id', 'in', (eb) => eb.selectFrom(ranked.as('ranked')).select('ranked.id').where('ranked.place', '>', rows))
    .executeTakeFirst();
  return Number(numDeletedRows);
}

function idOf({ attestationType, address, agentId, attested, reason }: AttemptKind): string {
  return createHash('sha256')
    .update(JSON.stringify([attestationType, address, agentId, attested, reason]))
    .digest('hex');
}
