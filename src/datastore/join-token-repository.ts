import { createHash } from 'node:crypto';
import { SpiffeError } from '../spiffe/error.ts';
import { PreparedQuery } from './prepared-query.ts';
import type { Session } from './session.ts';

export interface JoinToken {
  readonly token: string;
  /** Unix seconds. */
  readonly expiresAt: number;
}

/** Leaves out one that is there. */
const newToken = new PreparedQuery((db) =>
  db
    .insertInto('join_token')
    .values({ token_hash: '', expires_at: 0 })
    .onConflict((conflict) => conflict.doNothing())
    .returning('expires_at'),
);
const tokenByHash = new PreparedQuery((db) =>
  db.selectFrom('join_token').select('expires_at').where('token_hash', '=', ''),
);
const takenToken = new PreparedQuery((db) =>
  db.deleteFrom('join_token').where('token_hash', '=', '').returning('expires_at'),
);

/** Join tokens. They are secrets: only their SHA-256 is stored, and no message names one. */
export class JoinTokenRepository {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** @throws SpiffeError `ALREADY_EXISTS` */
  async create({ token, expiresAt }: JoinToken): Promise<void> {
    const [inserted] = await newToken.run(this.#session.db, [hashOf(token), expiresAt]);
    if (inserted === undefined)
      throw new SpiffeError('ALREADY_EXISTS', 'join token exists already: choose another one');
  }

  async find(token: string): Promise<JoinToken | undefined> {
    const [row] = await tokenByHash.run(this.#session.db, [hashOf(token)]);
    return row === undefined ? undefined : { token, expiresAt: row.expires_at };
  }

  /** Takes the token away, expired or not: of any number of callers one gets it. @throws SpiffeError `JOIN_TOKEN_NOT_FOUND` */
  async consume(token: string): Promise<JoinToken> {
    const [row] = await takenToken.run(this.#session.db, [hashOf(token)]);
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
