export interface JoinToken {
  readonly token: string;
  /** Unix seconds. */
  readonly expiresAt: number;
}

/** Join tokens; only their SHA-256 is stored. */
export declare class JoinTokenRepository {
  /** @throws SpiffeError `ALREADY_EXISTS` */
  create(token: JoinToken): Promise<void>;
  find(token: string): Promise<JoinToken | undefined>;
  /** Takes the token away, expired or not: of any number of callers one gets it. @throws SpiffeError `JOIN_TOKEN_NOT_FOUND` */
  consume(token: string): Promise<JoinToken>;
  /** Deletes what expired before now. @returns how many */
  pruneExpired(): Promise<number>;
}
