import type { Logger } from '../../log/logger.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { AuthorityKind } from './authority-kind.ts';
import {
  type AuthorityRecord,
  freeSlot,
  recordIn,
  withActivated,
  withoutForgotten,
  withPrepared,
} from './authority-records.ts';
import type { CaJournal } from './ca-journal.ts';
import { failedBecause, refused } from './refusals.ts';
import { rotationTimes } from './rotation.ts';
import { BACKDATE_SECONDS } from './x509-authorities.ts';

export interface AuthorityLineOptions<Authority> {
  readonly journal: CaJournal;
  readonly log: Logger;
  readonly clock: () => Date;
  /** Runs one work after the other, of both kinds of authorities: they share the journal. */
  serially<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Counts and times a preparation. */
  measurePreparation<Result>(work: () => Promise<Result>): Promise<Result>;
  onActivation(record: AuthorityRecord): void;
  /** Makes what an authority needs before it signs; where it throws, the authority does not take over. */
  beforeActivation?(authority: Authority): Promise<void>;
}

export interface AuthorityStates<Record extends AuthorityRecord> {
  readonly active: Record;
  /** With its key at hand: it can be activated. */
  readonly prepared: Record | undefined;
  /** The last that signed, if the bundle still has it. */
  readonly old: Record | undefined;
}

/** How long an authority that expired stays in the bundle and in the journal, for what it signed last. */
export const GRACE_SECONDS = 24 * 3600;

/**
 * The authorities of one kind, one after the other: prepared, active, old, tainted, revoked. Each step is written in the
 * order key, bundle, journal, so that a crash between any two leaves the state before it or after it.
 *
 * Refusals have SPIRE's codes and messages.
 */
export class AuthorityLine<Record extends AuthorityRecord, Authority extends { readonly notAfter: number }> {
  readonly #kind: AuthorityKind<Record, Authority>;
  readonly #options: AuthorityLineOptions<Authority>;
  #active: Authority | undefined;
  #prepared: { readonly record: Record; readonly authority: Authority } | undefined;

  constructor(kind: AuthorityKind<Record, Authority>, options: AuthorityLineOptions<Authority>) {
    this.#kind = kind;
    this.#options = options;
  }

  /** @throws SpiffeError `FAILED_PRECONDITION` where none could be made before the last one expired. */
  get active(): Authority {
    if (this.#active !== undefined && this.#active.notAfter > this.#now()) return this.#active;
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `the server has no ${this.#kind.name} authority that is valid now: see its log for why rotation failed`,
    );
  }

  /** @throws SpiffeError `UNAVAILABLE` */
  get states(): AuthorityStates<Record> {
    const active = recordIn(this.records, 'active');
    if (this.#active === undefined || active === undefined)
      throw new SpiffeError('UNAVAILABLE', 'server is initializing');
    return { active, prepared: this.#prepared?.record, old: this.oldRecords.at(-1) };
  }

  /** Whether the bundle verifies what the one that signs has signed. */
  get isActivePublished(): boolean {
    const active = recordIn(this.records, 'active');
    return active !== undefined && this.#kind.isPublished(active);
  }

  get records(): readonly Record[] {
    return this.#kind.recordsOf(this.#options.journal.content);
  }

  /** Those that the bundle still has, in the order they signed. */
  get oldRecords(): readonly Record[] {
    return this.records.filter((record) => record.state === 'old' && this.#kind.isPublished(record));
  }

  /** Prepares the next and lets it take over where that is due; for {@link AuthorityLineOptions.serially}. @returns when something is due next. */
  async rotate(now: number): Promise<Date> {
    const active = recordIn(this.records, 'active');
    const current = await this.#findUsable(active);
    if (current !== undefined) this.#active = current;
    const record = recordIn(this.records, 'prepared');
    const authority = await this.#findUsable(record);
    this.#prepared = record === undefined || authority === undefined ? undefined : { record, authority };
    const isDue = (time: 'prepareAt' | 'activateAt') =>
      current === undefined || active === undefined || now >= rotationTimes(active)[time];
    if (this.#prepared === undefined && isDue('prepareAt')) await this.#prepare(now);
    if (this.#prepared !== undefined && isDue('activateAt')) await this.#activate();
    return new Date(this.#nextDue() * 1000);
  }

  /** Makes the next authority at once, in place of one that was prepared already. */
  async prepare(): Promise<Record> {
    return await this.#options.serially(async () => {
      void this.states; // there is one that signs
      return await failedBecause(`failed to prepare ${this.#kind.name} authority`, () => this.#prepare(this.#now()));
    });
  }

  /** The prepared authority signs from here on. */
  async activate(authorityId: string): Promise<Record> {
    return await this.#options.serially(async () => {
      requireAuthorityId(authorityId);
      const { prepared, old } = this.states;
      if (prepared?.authorityId !== authorityId) {
        if (old?.authorityId !== authorityId) throw refused('unexpected authority ID');
        throw new SpiffeError('INTERNAL', `only Prepared authorities can be activated: ${statusOf(old)}`);
      }
      return await this.#activate();
    });
  }

  /** Has everything replaced that an old authority signed, by whoever reads the bundle. */
  async taint(authorityId: string): Promise<Record> {
    return await this.#options.serially(async () => {
      requireAuthorityId(authorityId);
      const { active, prepared } = this.states;
      if (authorityId === active.authorityId) throw refused('unable to taint current local authority');
      if (authorityId === prepared?.authorityId) {
        throw refused(`only Old local authorities can be tainted: ${statusOf(prepared)}`);
      }
      const record = this.oldRecords.find((old) => old.authorityId === authorityId);
      if (record === undefined) throw refused('unexpected authority ID');
      await failedBecause(`failed to taint ${this.#kind.name} authority`, () => this.#kind.taint(authorityId));
      this.#options.log.info(`${this.#kind.name} authority tainted`, { authority_id: authorityId });
      return record;
    });
  }

  /**
   * Takes a tainted authority out of the bundle: nothing that it signed is valid any more.
   *
   * @returns its record, where it is one of this server's.
   */
  async revoke(authorityId: string): Promise<Record | undefined> {
    return await this.#options.serially(async () => {
      const problem = this.#findRevocationProblem(authorityId);
      const record = this.oldRecords.find((old) => old.authorityId === authorityId);
      if (problem !== undefined) throw refused(`invalid authority ID: ${problem}`);
      await failedBecause(`failed to revoke ${this.#kind.name} authority`, () => this.#kind.revoke(authorityId));
      this.#options.log.info(`${this.#kind.name} authority revoked`, { authority_id: authorityId });
      return record;
    });
  }

  /** Makes and activates another one at once; for {@link AuthorityLineOptions.serially}. */
  async replace(): Promise<void> {
    await this.#prepare(this.#now());
    await this.#activate();
  }

  #findRevocationProblem(authorityId: string): string | undefined {
    if (authorityId === '') return 'no authority ID provided';
    const { active } = this.states;
    if (authorityId === active.authorityId) return 'unable to use current authority';
    const record = this.records.findLast((known) => known.authorityId === authorityId);
    return this.#kind.findRevocationProblem(authorityId, record);
  }

  async #prepare(now: number): Promise<Record> {
    const { log, measurePreparation } = this.#options;
    const { name } = this.#kind;
    this.#prepared = undefined; // its key is about to be replaced
    return await measurePreparation(async () => {
      const record = await this.#kind.make(freeSlot(this.records), now);
      await this.#write(withPrepared(this.records, record));
      const authority = await this.#findUsable(record);
      if (authority === undefined) {
        throw new SpiffeError(
          'FAILED_PRECONDITION',
          `the ${name} authority that was just made cannot sign: the key manager has another key in its place, or it has expired already`,
        );
      }
      this.#prepared = { record, authority };
      log.info(`${name} authority prepared`, {
        authority_id: record.authorityId,
        slot: record.slot,
        expires_at: record.notAfter,
      });
      return record;
    });
  }

  async #activate(): Promise<Record> {
    const prepared = this.#prepared;
    if (prepared === undefined) throw new SpiffeError('INTERNAL', 'no authority is prepared');
    await this.#options.beforeActivation?.(prepared.authority);
    await this.#write(withActivated(this.records));
    this.#active = prepared.authority;
    this.#prepared = undefined;
    const record: Record = { ...prepared.record, state: 'active' };
    const { log, onActivation } = this.#options;
    log.info(`${this.#kind.name} authority activated`, {
      authority_id: record.authorityId,
      expires_at: record.notAfter,
    });
    onActivation(record);
    return record;
  }

  async #findUsable(record: Record | undefined): Promise<Authority | undefined> {
    if (record === undefined || !this.#kind.isPublished(record)) return undefined;
    const now = this.#now();
    if (record.notAfter <= now || record.issuedAt > now + BACKDATE_SECONDS) return undefined; // the clock was set back
    return await this.#kind.find(record);
  }

  async #write(records: readonly Record[]): Promise<void> {
    const { journal } = this.#options;
    const kept = withoutForgotten(records, this.#now() - GRACE_SECONDS);
    await journal.write(this.#kind.withRecords(journal.content, kept));
  }

  #nextDue(): number {
    const active = recordIn(this.records, 'active');
    if (active === undefined) return 0;
    const { prepareAt, activateAt } = rotationTimes(active);
    return this.#prepared === undefined ? prepareAt : activateAt;
  }

  #now(): number {
    return Math.floor(this.#options.clock().getTime() / 1000);
  }
}

function requireAuthorityId(authorityId: string): void {
  if (authorityId === '') throw refused('no authority ID provided');
}

function statusOf({ state }: AuthorityRecord): string {
  return `unsupported local authority status: ${state.toUpperCase()}`;
}
