import type { BundleRepository } from '../datastore/bundle-repository.ts';
import type { Datastore } from '../datastore/datastore.ts';
import type { RevokedAuthorities } from '../datastore/revoked-authorities.ts';
import type { Logger } from '../log/logger.ts';
import { type Bundle, emptyBundle, type JwtAuthority, type X509Authority } from '../spiffe/bundle.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';

export interface AddedAuthorities {
  readonly x509?: readonly X509Authority[];
  readonly jwt?: readonly JwtAuthority[];
}

const RETRY_MS = 1_000;

/** The server's own bundle: stored, and at hand without a query. */
export class BundleKeeper {
  readonly #repository: BundleRepository;
  readonly #listeners = new Set<(bundle: Bundle) => void>();
  #current: Bundle;

  private constructor(repository: BundleRepository, current: Bundle) {
    this.#repository = repository;
    this.#current = current;
  }

  static async open(repository: BundleRepository, trustDomain: TrustDomain): Promise<BundleKeeper> {
    return new BundleKeeper(repository, (await repository.find(trustDomain)) ?? emptyBundle(trustDomain));
  }

  get current(): Bundle {
    return this.#current;
  }

  /** Calls `listener` with every bundle from now on. @returns what stops it. */
  subscribe(listener: (bundle: Bundle) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Takes over what others store: other servers of the same database, or another part of this one. What cannot be read is tried
   * again until it can: it may be a revocation.
   *
   * @returns what stops it.
   */
  follow(changes: Datastore['changes'], log: Pick<Logger, 'warning'>): () => void {
    let retry: NodeJS.Timeout | undefined;
    let hasStopped = false;
    const read = () => {
      clearTimeout(retry);
      this.refresh().catch((error: unknown) => {
        if (hasStopped) return;
        log.warning('the bundle could not be read: trying again', { reason: String(error) });
        clearTimeout(retry);
        retry = setTimeout(read, RETRY_MS);
      });
    };
    const unsubscribe = changes.subscribe(({ log: what }) => {
      if (what === 'bundle') read();
    });
    read(); // for what changed since it was opened
    return () => {
      hasStopped = true;
      clearTimeout(retry);
      unsubscribe();
    };
  }

  async refresh(): Promise<void> {
    const stored = await this.#repository.find(this.#current.trustDomain);
    if (stored !== undefined) this.#replace(stored);
  }

  /** One that was revoked is trusted again. */
  async append(added: AddedAuthorities): Promise<void> {
    this.#replace(await this.#repository.append(this.#bundleOf(added)));
  }

  /** What was revoked stays out. @returns what that was. */
  async appendUnrevoked(added: AddedAuthorities): Promise<RevokedAuthorities> {
    const { bundle, revoked } = await this.#repository.appendUnrevoked(this.#bundleOf(added));
    this.#replace(bundle);
    return revoked;
  }

  /** Forgets authorities that expired before `expiredBefore` (Unix seconds). @returns whether there were any. */
  async prune(expiredBefore: number): Promise<boolean> {
    const pruned = await this.#repository.prune(this.#current.trustDomain, expiredBefore);
    if (pruned !== undefined) this.#replace(pruned);
    return pruned !== undefined;
  }

  /** @param subjectKeyId hex. @throws SpiffeError `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (tainted already) */
  async taintX509(subjectKeyId: string): Promise<void> {
    this.#replace(await this.#repository.taintX509Authority(this.#current.trustDomain, subjectKeyId));
  }

  /** @param subjectKeyId hex. @throws SpiffeError `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (not tainted) */
  async revokeX509(subjectKeyId: string): Promise<void> {
    this.#replace(await this.#repository.revokeX509Authority(this.#current.trustDomain, subjectKeyId));
  }

  /** @throws SpiffeError `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (tainted already) */
  async taintJwt(keyId: string): Promise<void> {
    this.#replace(await this.#repository.taintJwtAuthority(this.#current.trustDomain, keyId));
  }

  /** @throws SpiffeError `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (not tainted) */
  async revokeJwt(keyId: string): Promise<void> {
    this.#replace(await this.#repository.revokeJwtAuthority(this.#current.trustDomain, keyId));
  }

  #bundleOf({ x509 = [], jwt = [] }: AddedAuthorities): Bundle {
    return { ...emptyBundle(this.#current.trustDomain), x509Authorities: x509, jwtAuthorities: jwt };
  }

  #replace(bundle: Bundle): void {
    const isKnown = bundle.sequenceNumber <= this.#current.sequenceNumber; // an answer may overtake another
    if (isKnown && this.#current.x509Authorities.length > 0) return;
    this.#current = bundle;
    for (const listener of this.#listeners) listener(bundle);
  }
}
