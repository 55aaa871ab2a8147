import { type Bundle, emptyBundle, mergeBundles } from '../spiffe/bundle.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import {
  pruneBundle,
  replaceBundle,
  revokeJwtAuthority,
  revokeX509Authority,
  taintJwtAuthority,
  taintX509Authority,
} from './bundle-changes.ts';
import { loadBundles, replaceAuthorities, toBundleRow } from './bundle-rows.ts';
import { EntryRepository } from './entry-repository.ts';
import { type Page, type PageRequest, readPage } from './page.ts';
import {
  forgetRevoked,
  pruneRevoked,
  type RevokedAuthorities,
  rememberRevoked,
  revokedAmong,
} from './revoked-authorities.ts';
import { atomically, type Session } from './session.ts';

/** When entries federate with a bundle that is to be deleted: refuse, have them federate no longer, or delete them too. */
export type BundleDeletion = 'restrict' | 'dissociate' | 'delete';

/** What an update replaces. */
export type BundleMasked = Partial<Omit<Bundle, 'trustDomain'>>;

/** A step of the transaction that has the bundle's row locked. */
type BundleChange = (current: Bundle, db: Session['db']) => Bundle | Promise<Bundle>;

/** Bundles of the own and of federated trust domains. */
export class BundleRepository {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** @throws SpiffeError `ALREADY_EXISTS` */
  async create(bundle: Bundle): Promise<Bundle> {
    return atomically(this.#session, async (session) => {
      if (await insert(session, bundle)) return bundle;
      throw new SpiffeError('ALREADY_EXISTS', `bundle of "${bundle.trustDomain}" exists already: set it`);
    });
  }

  /** @throws SpiffeError `BUNDLE_NOT_FOUND` */
  async get(trustDomain: TrustDomain): Promise<Bundle> {
    const bundle = await this.find(trustDomain);
    if (bundle === undefined) throw notFound(trustDomain);
    return bundle;
  }

  async find(trustDomain: TrustDomain): Promise<Bundle | undefined> {
    const { db } = this.#session;
    const rows = await db.selectFrom('bundle').selectAll().where('trust_domain', '=', trustDomain).execute();
    const [bundle] = await loadBundles(db, rows);
    return bundle;
  }

  /**
   * Creates or replaces.
   *
   * @returns the bundle with its sequence number: the given one, or one more than before where that is higher and the content changed.
   */
  async set(bundle: Bundle): Promise<Bundle> {
    return this.#createOrChange(bundle, (current) => replaceBundle(current, bundle));
  }

  /** Replaces what is present in `changes`; the sequence number as {@link set} does. @throws SpiffeError `BUNDLE_NOT_FOUND` */
  async update(trustDomain: TrustDomain, changes: BundleMasked): Promise<Bundle> {
    return this.#change(trustDomain, (current) => replaceBundle(current, { ...current, ...changes, trustDomain }));
  }

  /**
   * Adds authorities, or creates the bundle; sequence number +1 when that changed anything. One that was revoked is trusted again.
   */
  async append(bundle: Bundle): Promise<Bundle> {
    return this.#createOrChange(bundle, async (current, db) => {
      await forgetRevoked(db, bundle);
      return mergeBundles(current, bundle);
    });
  }

  /** As {@link append}, but what was revoked stays out. @returns the bundle, and the authorities that stayed out. */
  async appendUnrevoked(bundle: Bundle): Promise<{ readonly bundle: Bundle; readonly revoked: RevokedAuthorities }> {
    let revoked: RevokedAuthorities = emptyBundle(bundle.trustDomain);
    const appended = await this.#createOrChange(bundle, async (current, db) => {
      revoked = await revokedAmong(db, bundle);
      return mergeBundles(current, {
        ...bundle,
        x509Authorities: bundle.x509Authorities.filter((authority) => !revoked.x509Authorities.includes(authority)),
        jwtAuthorities: bundle.jwtAuthorities.filter((authority) => !revoked.jwtAuthorities.includes(authority)),
      });
    });
    return { bundle: appended, revoked };
  }

  /** In the order of trust domains; without a page, all. */
  async list(page?: PageRequest): Promise<Page<Bundle>> {
    const { db } = this.#session;
    return readPage(
      page,
      ({ trustDomain }) => trustDomain,
      async (after, limit) => {
        const rows = await db
          .selectFrom('bundle')
          .selectAll()
          .where('trust_domain', '>', after)
          .orderBy('trust_domain')
          .limit(limit)
          .execute();
        return loadBundles(db, rows);
      },
    );
  }

  async count(): Promise<number> {
    const { count } = await this.#session.db
      .selectFrom('bundle')
      .select((eb) => eb.fn.countAll().as('count'))
      .executeTakeFirstOrThrow();
    return Number(count);
  }

  /** @throws SpiffeError `BUNDLE_NOT_FOUND`, `FAILED_PRECONDITION` (mode `restrict`, and entries federate with it) */
  async delete(trustDomain: TrustDomain, mode: BundleDeletion = 'restrict'): Promise<void> {
    await atomically(this.#session, async (session) => {
      const entries = new EntryRepository(session);
      switch (mode) {
        case 'restrict': {
          const count = await entries.count({ federatesWith: { match: 'any', trustDomains: [trustDomain] } });
          if (count > 0) {
            throw new SpiffeError(
              'FAILED_PRECONDITION',
              `bundle of "${trustDomain}" stays: ${count} registration entries federate with it, so dissociate or delete them`,
            );
          }
          break;
        }
        case 'dissociate':
          await entries.dissociate(trustDomain);
          break;
        case 'delete':
          await entries.deleteFederated(trustDomain);
          break;
      }
      const deleted = await session.db
        .deleteFrom('bundle')
        .where('trust_domain', '=', trustDomain)
        .returning('trust_domain')
        .executeTakeFirst();
      if (deleted === undefined) throw notFound(trustDomain);
      session.changed.set('bundle', 0);
    });
  }

  /**
   * Removes authorities that expired before `expiredBefore` (Unix seconds), but one X.509 authority stays.
   *
   * @returns the bundle when that changed it. @throws SpiffeError `BUNDLE_NOT_FOUND`
   */
  async prune(trustDomain: TrustDomain, expiredBefore: number): Promise<Bundle | undefined> {
    let changed = false;
    const bundle = await this.#change(trustDomain, async (current, db) => {
      await pruneRevoked(db, trustDomain, expiredBefore);
      const pruned = pruneBundle(current, expiredBefore);
      changed = pruned !== current;
      return pruned;
    });
    return changed ? bundle : undefined;
  }

  /** @param subjectKeyId hex. @throws SpiffeError `BUNDLE_NOT_FOUND`, `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (tainted already) */
  async taintX509Authority(trustDomain: TrustDomain, subjectKeyId: string): Promise<Bundle> {
    return this.#change(trustDomain, (bundle) => taintX509Authority(bundle, subjectKeyId));
  }

  /** Removes it. @param subjectKeyId hex. @throws SpiffeError `BUNDLE_NOT_FOUND`, `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (not tainted) */
  async revokeX509Authority(trustDomain: TrustDomain, subjectKeyId: string): Promise<Bundle> {
    return this.#revoke(trustDomain, (bundle) => revokeX509Authority(bundle, subjectKeyId));
  }

  /** @throws SpiffeError `BUNDLE_NOT_FOUND`, `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (tainted already) */
  async taintJwtAuthority(trustDomain: TrustDomain, keyId: string): Promise<Bundle> {
    return this.#change(trustDomain, (bundle) => taintJwtAuthority(bundle, keyId));
  }

  /** Removes it. @throws SpiffeError `BUNDLE_NOT_FOUND`, `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (not tainted) */
  async revokeJwtAuthority(trustDomain: TrustDomain, keyId: string): Promise<Bundle> {
    return this.#revoke(trustDomain, (bundle) => revokeJwtAuthority(bundle, keyId));
  }

  async #revoke(trustDomain: TrustDomain, revoke: (current: Bundle) => Bundle): Promise<Bundle> {
    return this.#change(trustDomain, async (current, db) => {
      const changed = revoke(current);
      await rememberRevoked(db, current, changed);
      return changed;
    });
  }

  async #createOrChange(bundle: Bundle, change: BundleChange): Promise<Bundle> {
    return atomically(this.#session, async (session) => {
      if (await insert(session, bundle)) return bundle;
      return new BundleRepository(session).#change(bundle.trustDomain, change);
    });
  }

  /** @param change returns its argument where nothing changes. @throws SpiffeError `BUNDLE_NOT_FOUND` */
  async #change(trustDomain: TrustDomain, change: BundleChange): Promise<Bundle> {
    return atomically(this.#session, async ({ db, changed: logs }) => {
      const locked = await db
        .updateTable('bundle')
        .set((eb) => ({ sequence_number: eb.ref('sequence_number') }))
        .where('trust_domain', '=', trustDomain)
        .returningAll()
        .execute();
      const [current] = await loadBundles(db, locked);
      if (current === undefined) throw notFound(trustDomain);
      const changed = await change(current, db);
      if (changed === current) return current;
      logs.set('bundle', 0);
      await db.updateTable('bundle').set(toBundleRow(changed)).where('trust_domain', '=', trustDomain).execute();
      await replaceAuthorities(db, changed);
      return changed;
    });
  }
}

/** @returns false where the trust domain has a bundle already. */
async function insert({ db, changed }: Session, bundle: Bundle): Promise<boolean> {
  const inserted = await db
    .insertInto('bundle')
    .values(toBundleRow(bundle))
    .onConflict((conflict) => conflict.doNothing())
    .returning('trust_domain')
    .executeTakeFirst();
  if (inserted === undefined) return false;
  changed.set('bundle', 0);
  await replaceAuthorities(db, bundle);
  return true;
}

function notFound(trustDomain: TrustDomain): SpiffeError {
  return new SpiffeError('BUNDLE_NOT_FOUND', `no bundle of trust domain "${trustDomain}"`);
}
