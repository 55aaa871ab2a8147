import type { Logger } from '../../log/logger.ts';
import type { JwtAuthority } from '../../spiffe/bundle.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { RotationTimer } from '../../time/rotation-timer.ts';
import type { KeyType } from '../../x509/signer.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import type { AuthorityKeys } from './authority-keys.ts';
import { AuthorityLine, GRACE_SECONDS } from './authority-line.ts';
import type { JwtRecord, X509Record } from './authority-records.ts';
import type { CaAnchor } from './ca-anchor.ts';
import type { CaJournal } from './ca-journal.ts';
import { CaMetrics } from './ca-metrics.ts';
import type { IntermediateCa } from './intermediate-ca.ts';
import { type JwtSigningAuthority, jwtAuthorities } from './jwt-authorities.ts';
import { failedBecause, refused } from './refusals.ts';
import { findUpstreamProblem } from './upstream-authorities.ts';
import { type X509SigningAuthority, x509Authorities } from './x509-authorities.ts';

export interface CaManagerOptions {
  readonly keys: AuthorityKeys;
  /** Of JWT authorities, where they are others. */
  readonly jwtKeys?: AuthorityKeys | undefined;
  readonly keyType: KeyType;
  readonly jwtKeyType: KeyType;
  /** Of JWT authorities, and of X.509 CAs where the anchor does not say otherwise. */
  readonly ttlSeconds: number;
  /** Whether it signs no JWT-SVIDs: then it has no JWT authority. */
  readonly disableJwt: boolean;
  readonly anchor: CaAnchor;
  /** Signs SVIDs below the CA; absent, the CA does so itself. */
  readonly intermediate?: IntermediateCa | undefined;
  readonly journal: CaJournal;
  readonly bundle: BundleKeeper;
  readonly trustDomain: string;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly clock: () => Date;
}

const RETRY_MS = 5_000;
/** How often the keys are looked for: a key manager that started again may have lost them. */
const KEY_CHECK_MS = 30_000;
/** SPIRE's: how long a journal is kept after all of its authorities have ended, and how often such are looked for. */
const JOURNAL_GRACE_SECONDS = 14 * 24 * 3600;
const JOURNAL_PRUNE_SECONDS = 8 * 3600;

/**
 * Keeps one X.509 and one JWT authority that signs, makes their successors in time and lets them take over.
 * A successor is in the bundle from the moment it is prepared, and in the journal before it signs. Inventory B001.
 */
export class CaManager implements AsyncDisposable {
  readonly x509Authorities: AuthorityLine<X509Record, X509SigningAuthority>;
  readonly jwtAuthorities: AuthorityLine<JwtRecord, JwtSigningAuthority>;
  readonly #options: CaManagerOptions;
  readonly #metrics: CaMetrics;
  readonly #timer: RotationTimer;
  readonly #unsubscribe: () => void;
  /** As the last rotation left it. */
  #isTrusted = false;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<Date> | undefined;
  /** Unix seconds. */
  #prunedJournalsAt = Number.NEGATIVE_INFINITY;

  private constructor(options: CaManagerOptions) {
    this.#options = options;
    const { log, clock, metrics, journal, trustDomain } = options;
    this.#metrics = new CaMetrics(metrics, { trustDomain, clock });
    const common = { journal, log, clock, serially: <Result>(work: () => Promise<Result>) => this.#serially(work) };
    const { intermediate, jwtKeys = options.keys, jwtKeyType } = options;
    this.x509Authorities = new AuthorityLine(x509Authorities(options), {
      ...common,
      ...this.#metrics.x509,
      beforeActivation: async (authority) => await intermediate?.prepare(authority),
    });
    this.jwtAuthorities = new AuthorityLine(jwtAuthorities({ ...options, keys: jwtKeys, keyType: jwtKeyType }), {
      ...common,
      ...this.#metrics.jwt,
    });
    this.#timer = new RotationTimer({ work: () => this.rotate(), log, clock, retryMs: RETRY_MS });
    this.#unsubscribe = options.bundle.subscribe(() => this.#lookForLoss());
  }

  /** Ready to sign when it returns. */
  static async open(options: CaManagerOptions): Promise<CaManager> {
    const manager = new CaManager(options);
    manager.#timer.start(await manager.rotate());
    return manager;
  }

  /** What signs X509-SVIDs. @throws SpiffeError `FAILED_PRECONDITION` */
  get x509(): X509SigningAuthority {
    const { active } = this.x509Authorities;
    return this.#options.intermediate?.below(active) ?? active;
  }

  /** What signs the CAs of servers below. @throws SpiffeError `FAILED_PRECONDITION` */
  get x509Ca(): X509SigningAuthority {
    return this.x509Authorities.active;
  }

  /** What signs JWT-SVIDs. @throws SpiffeError `FAILED_PRECONDITION` */
  get jwt(): JwtSigningAuthority {
    return this.jwtAuthorities.active;
  }

  get hasUpstream(): boolean {
    return this.#options.anchor.hasUpstream;
  }

  get disablesJwt(): boolean {
    return this.#options.disableJwt;
  }

  /** Makes a key of a server below known in the whole trust domain; it is in the bundle when it returns. */
  async publishJwtAuthority(authority: JwtAuthority): Promise<void> {
    await this.#options.anchor.publishJwtAuthority(authority);
  }

  /** How often rotation failed, one time after the other. */
  get failedRotations(): number {
    return this.#timer.failures;
  }

  /** Does what is due; calls made while one runs wait for its end and share the next. @returns when something is due next. */
  rotate(): Promise<Date> {
    this.#next ??= this.#serially(() => {
      this.#next = undefined;
      return this.#rotate();
    });
    return this.#next;
  }

  /** Another X.509 authority signs at once: what signed hangs on something that is trusted no more. */
  async replaceX509(): Promise<void> {
    await this.#serially(() => this.x509Authorities.replace());
  }

  /** Taints a root above that signed an old authority. @param subjectKeyId hex */
  async taintUpstream(subjectKeyId: string): Promise<void> {
    const { bundle, log } = this.#options;
    await this.#serially(async () => {
      const problem = findUpstreamProblem(this.x509Authorities, subjectKeyId);
      if (problem !== undefined) throw refused(`provided subject key id is not valid: ${problem}`);
      await failedBecause('failed to taint upstream authority', () => bundle.taintX509(subjectKeyId));
      log.info('upstream X.509 authority tainted', { subject_key_id: subjectKeyId });
    });
  }

  /** Takes a tainted root above out of the bundle. @param subjectKeyId hex */
  async revokeUpstream(subjectKeyId: string): Promise<void> {
    const { bundle, log } = this.#options;
    await this.#serially(async () => {
      const problem = findUpstreamProblem(this.x509Authorities, subjectKeyId);
      if (problem !== undefined) throw refused(`invalid subject key ID: ${problem}`);
      await failedBecause('failed to revoke X.509 upstream authority', () => bundle.revokeX509(subjectKeyId));
      log.info('upstream X.509 authority revoked', { subject_key_id: subjectKeyId });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    await this.#timer[Symbol.asyncDispose]();
    await this.#running;
  }

  async #rotate(): Promise<Date> {
    const { disableJwt, bundle } = this.#options;
    const now = Math.floor(this.#options.clock().getTime() / 1000);
    const results = [
      await settled(this.#rotateX509(now)),
      ...(disableJwt ? [] : [await settled(this.jwtAuthorities.rotate(now))]), // one that fails does not stop the other
      await settled(this.#metrics.measurePruning(() => bundle.prune(now - GRACE_SECONDS))),
      await settled(this.#pruneJournals(now)),
    ];
    const due = results.flatMap((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value === undefined ? [] : [result.value.getTime()];
    });
    this.#isTrusted = true;
    return new Date(Math.min(...due, now * 1000 + KEY_CHECK_MS));
  }

  /** What signs may be revoked by another server of the same database: then another one signs at once. */
  #lookForLoss(): void {
    const { disableJwt, clock } = this.#options;
    if (!this.#isTrusted) return;
    this.#isTrusted = this.x509Authorities.isActivePublished && (disableJwt || this.jwtAuthorities.isActivePublished);
    if (!this.#isTrusted) this.#timer.start(clock());
  }

  async #pruneJournals(now: number): Promise<undefined> {
    if (now < this.#prunedJournalsAt + JOURNAL_PRUNE_SECONDS) return;
    await this.#options.journal.pruneOthers(now - JOURNAL_GRACE_SECONDS);
    this.#prunedJournalsAt = now;
  }

  async #rotateX509(now: number): Promise<Date> {
    const { intermediate } = this.#options;
    const due = await this.x509Authorities.rotate(now);
    if (intermediate === undefined) return due;
    const intermediateDue = (await intermediate.keep(this.x509Authorities.active)) * 1000;
    return new Date(Math.min(due.getTime(), intermediateDue));
  }

  /** Works share the journal: one at a time. */
  #serially<Result>(work: () => Promise<Result>): Promise<Result> {
    const running = this.#running.then(work);
    this.#running = running.catch(() => {}); // its callers learn of it
    return running;
  }
}

async function settled<Value>(work: Promise<Value>): Promise<PromiseSettledResult<Value>> {
  const [result] = await Promise.allSettled([work]);
  return result;
}
