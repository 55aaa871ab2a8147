import type { Logger } from '../../log/logger.ts';
import { hasX509Authority, jwtAuthorityOf } from '../../spiffe/bundle.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { KeyType } from '../../x509/signer.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import { RotationTimer } from '../rotation-timer.ts';
import type { CaJournal, JwtRecord, X509Record } from './ca-journal.ts';
import { findJwtAuthority, type JwtSigningAuthority, prepareJwtAuthority, toJwtAuthority } from './jwt-authorities.ts';
import { rotationTimes } from './rotation.ts';
import { freeSlot, recordIn, withActivated, withPrepared } from './slots.ts';
import {
  findX509Authority,
  prepareX509Authority,
  type X509AuthorityOptions,
  type X509SigningAuthority,
} from './x509-authorities.ts';

export interface CaManagerOptions extends X509AuthorityOptions {
  readonly jwtKeyType: KeyType;
  /** Whether it signs no JWT-SVIDs: then it has no JWT authority. */
  readonly disableJwt: boolean;
  readonly journal: CaJournal;
  readonly bundle: BundleKeeper;
  readonly log: Logger;
  readonly clock: () => Date;
}

/** How long an authority that expired stays in the bundle, for what it signed last. */
const BUNDLE_GRACE_SECONDS = 24 * 3600;
const RETRY_MS = 5_000;
/** How often the keys are looked for: a key manager that started again may have lost them. */
const KEY_CHECK_MS = 30_000;

/**
 * Keeps one X.509 and one JWT authority that signs, makes their successors in time and lets them take over.
 * A successor is in the bundle from the moment it is prepared, and in the journal before it signs.
 */
export class CaManager implements AsyncDisposable {
  readonly #options: CaManagerOptions;
  readonly #timer: RotationTimer;
  #x509: X509SigningAuthority | undefined;
  #jwt: JwtSigningAuthority | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<Date> | undefined;

  private constructor(options: CaManagerOptions) {
    this.#options = options;
    const { log, clock } = options;
    this.#timer = new RotationTimer({ work: () => this.rotate(), log, clock, retryMs: RETRY_MS });
  }

  /** Ready to sign when it returns. */
  static async open(options: CaManagerOptions): Promise<CaManager> {
    const manager = new CaManager(options);
    manager.#timer.start(await manager.rotate());
    return manager;
  }

  /** @throws SpiffeError `FAILED_PRECONDITION` where none could be made before the last one expired. */
  get x509(): X509SigningAuthority {
    return requireValid(this.#x509, this.#now(), 'X.509');
  }

  /** @throws SpiffeError `FAILED_PRECONDITION` */
  get jwt(): JwtSigningAuthority {
    return requireValid(this.#jwt, this.#now(), 'JWT');
  }

  /** How often rotation failed, one time after the other. */
  get failedRotations(): number {
    return this.#timer.failures;
  }

  /** Does what is due; calls made while one runs wait for its end and share the next. @returns when something is due next. */
  rotate(): Promise<Date> {
    this.#next ??= this.#running.then(() => {
      const running = this.#rotate();
      this.#next = undefined;
      this.#running = running.catch(() => {}); // its callers learn of it
      return running;
    });
    return this.#next;
  }

  async #rotate(): Promise<Date> {
    const now = this.#now();
    await this.#rotateX509(now);
    if (!this.#options.disableJwt) await this.#rotateJwt(now);
    await this.#options.bundle.prune(now - BUNDLE_GRACE_SECONDS);
    const { x509, jwt } = this.#options.journal.content;
    const due = [nextDue(x509), ...(this.#options.disableJwt ? [] : [nextDue(jwt)])];
    return new Date(Math.min(...due.map((seconds) => seconds * 1000), now * 1000 + KEY_CHECK_MS));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#timer[Symbol.asyncDispose]();
  }

  async #rotateX509(now: number): Promise<void> {
    const { journal, bundle, log } = this.#options;
    const active = recordIn(journal.content.x509, 'active');
    const current = await this.#findX509(active);
    const lost = current === undefined;
    if (!lost) this.#x509 = current;
    let next = await this.#findX509(recordIn(journal.content.x509, 'prepared'));
    if (next === undefined && (lost || isDue(active, 'prepareAt', now))) {
      const record = await prepareX509Authority(this.#options, freeSlot(journal.content.x509), now);
      await bundle.append({ x509: record.chain.slice(-1).map((certificate) => ({ certificate, tainted: false })) });
      await this.#write({ x509: withPrepared(journal.content.x509, record) });
      log.info('X.509 authority prepared', { slot: record.slot, expires_at: record.notAfter });
      next = await this.#findX509(record);
    }
    if (next !== undefined && (lost || isDue(active, 'activateAt', now))) {
      await this.#write({ x509: withActivated(journal.content.x509) }, next.authorityId);
      this.#x509 = next;
      log.info('X.509 authority activated', { authority_id: next.authorityId, expires_at: next.notAfter });
    }
  }

  async #rotateJwt(now: number): Promise<void> {
    const { journal, keyManager, bundle, log, jwtKeyType: keyType, ttlSeconds } = this.#options;
    const active = recordIn(journal.content.jwt, 'active');
    const current = await this.#findJwt(active);
    const lost = current === undefined;
    if (!lost) this.#jwt = current;
    let next = await this.#findJwt(recordIn(journal.content.jwt, 'prepared'));
    if (next === undefined && (lost || isDue(active, 'prepareAt', now))) {
      const record = await prepareJwtAuthority({ keyManager, keyType, ttlSeconds }, freeSlot(journal.content.jwt), now);
      await bundle.append({ jwt: [toJwtAuthority(record)] });
      await this.#write({ jwt: withPrepared(journal.content.jwt, record) });
      log.info('JWT authority prepared', { slot: record.slot, expires_at: record.notAfter });
      next = await this.#findJwt(record);
    }
    if (next !== undefined && (lost || isDue(active, 'activateAt', now))) {
      await this.#write({ jwt: withActivated(journal.content.jwt) });
      this.#jwt = next;
      log.info('JWT authority activated', { authority_id: next.keyId, expires_at: next.notAfter });
    }
  }

  /** The authority of a record, if it can sign: it has its key, has not ended, and the bundle has it. */
  async #findX509(record: X509Record | undefined): Promise<X509SigningAuthority | undefined> {
    const { keyManager, bundle } = this.#options;
    const root = record?.chain.at(-1);
    if (record === undefined || root === undefined || record.notAfter <= this.#now()) return undefined;
    return hasX509Authority(bundle.current, root) ? findX509Authority(keyManager, record) : undefined;
  }

  async #findJwt(record: JwtRecord | undefined): Promise<JwtSigningAuthority | undefined> {
    const { keyManager, bundle } = this.#options;
    if (record === undefined || record.notAfter <= this.#now()) return undefined;
    return jwtAuthorityOf(bundle.current, record.keyId) && findJwtAuthority(keyManager, record);
  }

  async #write(
    changed: { x509?: readonly X509Record[]; jwt?: readonly JwtRecord[] },
    activeX509AuthorityId = this.#x509?.authorityId ?? '',
  ): Promise<void> {
    await this.#options.journal.write({ ...this.#options.journal.content, ...changed }, activeX509AuthorityId);
  }

  #now(): number {
    return Math.floor(this.#options.clock().getTime() / 1000);
  }
}

type Timed = { readonly issuedAt: number; readonly notAfter: number };

function isDue(record: Timed | undefined, time: 'prepareAt' | 'activateAt', now: number): boolean {
  return record !== undefined && now >= rotationTimes(record)[time];
}

function nextDue(records: readonly (X509Record | JwtRecord)[]): number {
  const active = recordIn<X509Record | JwtRecord>(records, 'active');
  if (active === undefined) return 0;
  const { prepareAt, activateAt } = rotationTimes(active);
  return recordIn<X509Record | JwtRecord>(records, 'prepared') === undefined ? prepareAt : activateAt;
}

function requireValid<Authority extends { notAfter: number }>(
  authority: Authority | undefined,
  now: number,
  kind: string,
): Authority {
  if (authority === undefined || authority.notAfter <= now) {
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `the server has no ${kind} authority that is valid now: see its log for why rotation failed`,
    );
  }
  return authority;
}
