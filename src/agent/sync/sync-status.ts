import { isSpiffeError, messageOf } from '../../spiffe/error.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';

/** A sync that failed. */
export interface SyncFailure {
  readonly at: Date;
  /** When the first of those that failed in a row did. */
  readonly since: Date;
  readonly reason: string;
  /** Nobody answered, so that nothing is known of what the server would say. */
  readonly isUnreachable: boolean;
}

/** Why the server did not sign for an entry, or what it signed was not taken. */
export interface SigningRefusal {
  readonly at: Date;
  readonly reason: string;
}

/** How the agent gets on with its server, for people who ask why something is missing. */
export class SyncStatus {
  readonly #clock: () => Date;
  #syncingSince: Date | undefined;
  #syncedAt: Date | undefined;
  #failure: SyncFailure | undefined;
  #standing: SyncFailure | undefined;
  #nextAt: Date | undefined;
  #signingSince: Date | undefined;
  #signing: ReadonlyMap<string, AuthorizedEntry> = new Map();
  readonly #refusals = new Map<string, SigningRefusal>();
  /** Why the agent has to attest again. */
  mustReattest: string | undefined;

  constructor(clock: () => Date) {
    this.#clock = clock;
  }

  /** Undefined between two syncs. */
  get syncingSince(): Date | undefined {
    return this.#syncingSince;
  }

  /** When the last sync went well; undefined before the first one. */
  get syncedAt(): Date | undefined {
    return this.#syncedAt;
  }

  /** Of the last sync; undefined where that went well. */
  get failure(): SyncFailure | undefined {
    return this.#failure;
  }

  /** The failure that workloads are told of: once the agent has done what follows from it, such as to use what the last run had. */
  get standing(): SyncFailure | undefined {
    return this.#standing;
  }

  get nextAt(): Date | undefined {
    return this.#nextAt;
  }

  /** Entries that the server is being asked to sign for: new ones are not served before it has. */
  get signing(): Iterable<AuthorizedEntry> {
    return this.#signing.values();
  }

  /** Since when the server is asked to sign for an entry; undefined where it is not. */
  signingSince(entryId: string): Date | undefined {
    return this.#signing.has(entryId) ? this.#signingSince : undefined;
  }

  /** What came of the last attempt to get an X.509-SVID; undefined where it came. */
  refusalOf(entryId: string): SigningRefusal | undefined {
    return this.#refusals.get(entryId);
  }

  begins(): void {
    this.#syncingSince = this.#clock();
    this.#nextAt = undefined;
  }

  succeeded(): void {
    this.#syncingSince = undefined;
    this.#syncedAt = this.#clock();
    this.#failure = undefined;
    this.#standing = undefined;
  }

  failed(error: unknown): void {
    const at = this.#clock();
    this.#syncingSince = undefined;
    this.#failure = {
      at,
      since: this.#failure?.since ?? at,
      reason: messageOf(error),
      isUnreachable: isSpiffeError(error, 'SERVER_UNREACHABLE'),
    };
  }

  /** All that follows from the last failure is done. */
  stands(): void {
    this.#standing = this.#failure;
  }

  next(delayMs: number): void {
    this.#nextAt = new Date(this.#clock().getTime() + delayMs);
  }

  /** The server is asked to sign for these entries, and for no others. */
  signs(entries: readonly AuthorizedEntry[]): void {
    this.#signing = new Map(entries.map((entry) => [entry.id, entry]));
    this.#signingSince = this.#clock();
    for (const { id } of entries) this.#refusals.delete(id);
  }

  /** What was asked for is there, or refused. */
  signed(): void {
    this.#signing = new Map();
  }

  refused(entryId: string, reason: string): void {
    this.#refusals.set(entryId, { at: this.#clock(), reason });
  }

  /** Forgets what concerned entries that are no more. */
  keepOnly(entries: ReadonlyMap<string, unknown>): void {
    for (const id of this.#refusals.keys()) if (!entries.has(id)) this.#refusals.delete(id);
  }
}
