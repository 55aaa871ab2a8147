import type { RevokedAuthorities } from '../../../datastore/revoked-authorities.ts';
import type { Logger } from '../../../log/logger.ts';
import type { JwtAuthority, X509Authority } from '../../../spiffe/bundle.ts';
import { parseCertificate } from '../../../x509/certificate.ts';
import type { BundleKeeper } from '../../bundle-keeper.ts';

/**
 * Takes what a PKI above trusts into the server's own bundle. That a root is tainted is held back until the server itself
 * hangs on it no more: whoever reads the bundle then renews what it has, and gets something better.
 */
export class UpstreamBundle {
  readonly #bundle: BundleKeeper;
  readonly #log: Logger;
  /** Subject key IDs of roots that the PKI above said are tainted. */
  readonly #toldTainted = new Set<string>();
  /** Subject key IDs of roots of which the log says that they were revoked here. */
  #toldRevoked: ReadonlySet<string> = new Set();
  #roots: readonly X509Authority[] | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(bundle: BundleKeeper, log: Logger) {
    this.#bundle = bundle;
    this.#log = log;
  }

  /** What the PKI above trusts, as it said last, without what was revoked here; undefined before it said anything. */
  get roots(): readonly X509Authority[] | undefined {
    return this.#roots;
  }

  /**
   * New roots are trusted at once, but none that was revoked here or by another server of the same database; a tainted one that
   * is not there any more is revoked. But not one that an administrator tainted here: agents have yet to replace what hangs on it.
   */
  async takeRoots(roots: readonly X509Authority[]): Promise<void> {
    await this.#serially(async () => {
      const isFirst = this.#roots === undefined; // who tainted what in the last run is not known
      const x509 = roots.map((root) => ({ ...root, tainted: false }));
      const { x509Authorities: revoked } = await this.#bundle.appendUnrevoked({ x509 });
      this.#tellRevoked(subjectKeyIds(revoked));
      this.#roots = roots.filter(({ certificate }) => !revoked.some((root) => root.certificate === certificate));
      for (const subjectKeyId of subjectKeyIds(roots.filter(({ tainted }) => tainted)))
        this.#toldTainted.add(subjectKeyId);
      const listed = subjectKeyIds(roots);
      const tainted = subjectKeyIds(this.#bundle.current.x509Authorities.filter((root) => root.tainted));
      for (const subjectKeyId of [...tainted].filter((id) => !listed.has(id))) {
        if (!isFirst && !this.#toldTainted.has(subjectKeyId)) continue;
        await this.#bundle.revokeX509(subjectKeyId);
        this.#log.info('X.509 authority revoked, as the upstream authority did', { subject_key_id: subjectKeyId });
      }
    });
  }

  /** Says in the bundle which roots are tainted. */
  async taintRoots(): Promise<void> {
    await this.#serially(async () => {
      const tainted = subjectKeyIds((this.#roots ?? []).filter((root) => root.tainted));
      const trusted = subjectKeyIds(this.#bundle.current.x509Authorities.filter((root) => !root.tainted));
      for (const subjectKeyId of [...tainted].filter((id) => trusted.has(id))) {
        await this.#bundle.taintX509(subjectKeyId);
        this.#log.info('X.509 authority tainted, as the upstream authority did', { subject_key_id: subjectKeyId });
      }
    });
  }

  /**
   * All keys of the trust domain. A tainted one that is not there any more is revoked; one that was revoked here stays so.
   *
   * @returns those that were revoked.
   */
  async takeJwtAuthorities(keys: readonly JwtAuthority[]): Promise<RevokedAuthorities> {
    return await this.#serially(async () => {
      const { jwtAuthorities } = this.#bundle.current;
      const revoked = await this.#bundle.appendUnrevoked({ jwt: keys });
      const listed = new Set(keys.map(({ keyId }) => keyId));
      for (const { keyId } of jwtAuthorities.filter(({ tainted }) => tainted)) {
        if (listed.has(keyId)) continue;
        await this.#bundle.revokeJwt(keyId);
        this.#log.info('JWT authority revoked, as the upstream authority did', { authority_id: keyId });
      }
      return revoked;
    });
  }

  /** A key that the PKI above takes none of. */
  async keepJwtAuthority(key: JwtAuthority): Promise<RevokedAuthorities> {
    return await this.#serially(() => this.#bundle.appendUnrevoked({ jwt: [key] }));
  }

  #tellRevoked(subjectKeyIds: ReadonlySet<string>): void {
    for (const subjectKeyId of subjectKeyIds) {
      if (this.#toldRevoked.has(subjectKeyId)) continue;
      this.#log.warning('the upstream authority trusts a root that was revoked here: it stays out of the bundle', {
        subject_key_id: subjectKeyId,
      });
    }
    this.#toldRevoked = subjectKeyIds;
  }

  /** Several streams tell of the same: one at a time. */
  #serially<Result>(work: () => Promise<Result>): Promise<Result> {
    const running = this.#running.then(work);
    this.#running = running.catch(() => {}); // its caller learns of it
    return running;
  }
}

/** Lower-case hex; empty without one, which nothing can be said of by its ID. */
function subjectKeyIdOf({ certificate }: X509Authority): string {
  return Buffer.from(parseCertificate(certificate).subjectKeyId ?? []).toString('hex');
}

function subjectKeyIds(authorities: readonly X509Authority[]): ReadonlySet<string> {
  return new Set(authorities.map(subjectKeyIdOf).filter((id) => id !== ''));
}
