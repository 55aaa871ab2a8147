import type { BundleRepository } from '../../datastore/bundle-repository.ts';
import { type Bundle, sameBundle } from '../../spiffe/bundle.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { SharedRun } from '../shared-run.ts';

/** The bundles of other trust domains: stored, and at hand without a query, as every handshake needs them. */
export class FederatedBundles {
  readonly #repository: Pick<BundleRepository, 'list' | 'set'>;
  readonly #own: TrustDomain;
  readonly #listeners = new Set<(trustDomains: ReadonlySet<TrustDomain>) => void>();
  readonly #reading = new SharedRun(() => this.#read());
  #bundles: ReadonlyMap<TrustDomain, Bundle> = new Map();

  private constructor(repository: Pick<BundleRepository, 'list' | 'set'>, own: TrustDomain) {
    this.#repository = repository;
    this.#own = own;
  }

  /** @param own the trust domain of the server, whose bundle is somebody else's to keep */
  static async open(repository: Pick<BundleRepository, 'list' | 'set'>, own: TrustDomain): Promise<FederatedBundles> {
    const bundles = new FederatedBundles(repository, own);
    await bundles.refresh();
    return bundles;
  }

  find(trustDomain: TrustDomain): Bundle | undefined {
    return this.#bundles.get(trustDomain);
  }

  /** Calls `listener` with the trust domains whose bundles came, changed or went. @returns what stops it. */
  subscribe(listener: (trustDomains: ReadonlySet<TrustDomain>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stores a bundle of another trust domain. @returns it with the sequence number that it got. */
  async store(bundle: Bundle): Promise<Bundle> {
    if (bundle.trustDomain === this.#own) {
      throw new SpiffeError('INTERNAL', `the bundle of "${this.#own}" is the server's own, nobody else's to give`);
    }
    const stored = await this.#repository.set(bundle);
    await this.refresh();
    return stored;
  }

  /** Reads what is stored; calls made while one runs wait for its end and share the next. */
  refresh(): Promise<void> {
    return this.#reading.run();
  }

  async #read(): Promise<void> {
    const { items } = await this.#repository.list();
    const before = this.#bundles;
    const foreign = items.filter(({ trustDomain }) => trustDomain !== this.#own);
    this.#bundles = new Map(
      foreign.map((bundle) => [bundle.trustDomain, unchangedOr(before.get(bundle.trustDomain), bundle)]),
    );
    const names = new Set([...before.keys(), ...this.#bundles.keys()]);
    const changed = new Set([...names].filter((name) => before.get(name) !== this.#bundles.get(name)));
    if (changed.size === 0) return;
    for (const listener of this.#listeners) listener(changed);
  }
}

/** The very object that is known, where nothing changed: others have derived from it. */
function unchangedOr(known: Bundle | undefined, bundle: Bundle): Bundle {
  const isSame = known !== undefined && known.sequenceNumber === bundle.sequenceNumber && sameBundle(known, bundle);
  return isSame ? known : bundle;
}
