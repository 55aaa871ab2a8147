import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { keyIdOfJwtSvid } from '../../spiffe/jwt-svid.ts';
import { rotationTime } from '../identity/rotation-time.ts';
import { isPast, steadyOffset } from '../identity/steady-time.ts';
import { fromApiId } from '../server-api/api-id.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import { CALL_DEADLINE_MS, type ServerConnection } from '../server-api/server-connection.ts';
import { tokenEnd } from './token-end.ts';

export interface WorkloadJwtSvid {
  readonly token: string;
  /** Of the authority that signed it. */
  readonly keyId: string;
  readonly expiresAt: Date;
  readonly rotateAt: Date;
  /** As in `timeFor`. */
  readonly steadyOffsetMs: number;
}

export interface JwtSvidsOptions {
  readonly connection: ServerConnection;
  readonly maxSize: number;
  /** How long somebody waits for a fresh token while one is there that is still valid. Inventory C112. */
  readonly hitTimeoutSeconds: number;
  readonly clock: () => Date;
}

/** JWT-SVIDs, fetched when asked for and kept until half of their life: the newest `maxSize` of them. */
export class JwtSvids {
  readonly #options: JwtSvidsOptions;
  readonly #cached = new Map<string, WorkloadJwtSvid>();
  readonly #distrusted = new Set<string>();
  readonly #fetching = new Map<string, Promise<WorkloadJwtSvid>>();

  constructor(options: JwtSvidsOptions) {
    this.#options = options;
  }

  /** @throws SpiffeError `SERVER_UNREACHABLE` where there is none that is valid and none can be had. */
  async fetch(entry: AuthorizedEntry, audience: readonly string[]): Promise<WorkloadJwtSvid> {
    const key = JSON.stringify([entry.id, entry.revisionNumber, entry.createdAt, audience.toSorted()]);
    const now = this.#options.clock();
    const cached = this.#find(key, now);
    if (cached !== undefined && !isPast(cached.rotateAt, cached.steadyOffsetMs, now)) return cached;
    const deadlineMs = cached === undefined ? CALL_DEADLINE_MS : this.#options.hitTimeoutSeconds * 1000;
    const fetching =
      this.#fetching.get(key) ??
      this.#fetch(key, entry, audience, deadlineMs).finally(() => this.#fetching.delete(key));
    this.#fetching.set(key, fetching);
    try {
      return await fetching;
    } catch (cause) {
      if (cached !== undefined && !this.#distrusted.has(cached.keyId)) return cached;
      const reason = messageOf(cause);
      throw new SpiffeError('SERVER_UNREACHABLE', `could not fetch a JWT-SVID of ${entry.spiffeId}: ${reason}`, {
        cause,
      });
    }
  }

  /** Tokens that are kept; some may have expired. */
  get count(): number {
    return this.#cached.size;
  }

  /**
   * Forgets the tokens that these authorities signed, and keeps none that is still to come. Inventory B002.
   *
   * @returns how many it forgot
   */
  distrust(keyIds: ReadonlySet<string>): number {
    const before = this.#cached.size;
    for (const keyId of keyIds) this.#distrusted.add(keyId);
    for (const [key, { keyId }] of this.#cached) if (this.#distrusted.has(keyId)) this.#cached.delete(key);
    return before - this.#cached.size;
  }

  #find(key: string, now: Date): WorkloadJwtSvid | undefined {
    const cached = this.#cached.get(key);
    if (cached === undefined) return undefined;
    this.#cached.delete(key);
    if (isPast(cached.expiresAt, cached.steadyOffsetMs, now)) return undefined;
    this.#cached.set(key, cached); // now the newest
    return cached;
  }

  async #fetch(
    key: string,
    entry: AuthorizedEntry,
    audience: readonly string[],
    deadlineMs: number,
  ): Promise<WorkloadJwtSvid> {
    const { connection, maxSize, clock } = this.#options;
    const request = { entryId: entry.id, audience: [...audience] };
    const { svid } = await connection.run((clients) => clients.svid.newJWTSVID(request, { deadlineMs }));
    if (svid === undefined || svid.token === '') throw new SpiffeError('INTERNAL', 'the server answered no token');
    const spiffeId = fromApiId(svid.id);
    if (spiffeId !== entry.spiffeId) {
      throw new SpiffeError('SVID_INVALID', `the server issued a token of ${spiffeId}, not of ${entry.spiffeId}`);
    }
    const receivedAt = clock();
    const expiresAt = tokenEnd(svid.expiresAt, svid.token, receivedAt);
    if (expiresAt <= receivedAt) {
      throw new SpiffeError(
        'SVID_INVALID',
        `the server's token expired at ${expiresAt.toISOString()}, by this node's clock it is ${receivedAt.toISOString()}: set both clocks by the same time service`,
      );
    }
    const keyId = keyIdOfJwtSvid(svid.token);
    const fetched = {
      token: svid.token,
      keyId,
      expiresAt,
      rotateAt: rotationTime({ receivedAt, expiresAt }),
      steadyOffsetMs: steadyOffset(receivedAt),
    };
    if (this.#distrusted.has(keyId)) return fetched; // the next one that is asked for is of another authority
    this.#cached.set(key, fetched);
    const [oldest] = this.#cached.keys();
    if (this.#cached.size > maxSize && oldest !== undefined) this.#cached.delete(oldest);
    return fetched;
  }
}
