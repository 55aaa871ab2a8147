import { createHash } from 'node:crypto';
import { SpiffeError } from '../spiffe/error.ts';
import type { Session } from './session.ts';

export interface JoinToken {
  readonly token: string;
  /** Unix seconds. */
  readonly expiresAt: number;
}

/** Join tokens. They are secrets: only their SHA-256 is stored, and no message names one. */
export class JoinTokenRepository {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** @throws SpiffeError `ALREADY_EXISTS` */
  async create({ token, expiresAt }: JoinToken): Promise<void> {
    const inserted = await this.#session.db
      .insertInto('join_token')
      .values({ token_hash: hashOf(token), expires_at: expiresAt })
      .onConflict((conflict) => conflict.doNothing())
      .returning('expires_at')
      .executeTakeFirst();
    if (inserted === undefined)
      throw new SpiffeError('ALREADY_EXISTS', 'join token exists already: choose another one');
  }

  async find(token: string): Promise<JoinToken | undefined> {
    const row = await this.#session.db
      .selectFrom('join_token')
      .select('expires_at')
      .where('token_hash', '=', hashOf(token))
      .executeTakeFirst();
    return row === undefined ? undefined : { token, expiresAt: row.expires_at };
  }

  /** Takes the token away, expired or not: of any number of callers one gets it. @throws SpiffeError `JOIN_TOKEN_NOT_FOUND` */
  async consume(token: string): Promise<JoinToken> {
    const row = await this.#session.db
      .deleteFrom('join_token')
      .where('token_hash', '=', hashOf(token))
      .returning('expires_at')
      .executeTakeFirst();
    if (row === undefined) {
      throw new SpiffeError('JOIN_TOKEN_NOT_FOUND', 'join token is not known, or was used already: generate a new one');
    }
    return { token, expiresAt: row.expires_at };
  }

  /** Deletes what expired before now. @returns how many */
  async pruneExpired(): Promise<number> {
    const { db, now } = this.#session;
    const { numDeletedRows } = await db.deleteFrom('join_token').where('expires_at', '<', now()).executeTakeFirst();
    return Number(numDeletedRows);
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
