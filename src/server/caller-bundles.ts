import type { Bundle } from '../spiffe/bundle.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { BundleKeeper } from './bundle-keeper.ts';
import type { FederatedBundles } from './federation/federated-bundles.ts';

export interface CallerBundlesOptions {
  readonly own: BundleKeeper;
  readonly federated: Pick<FederatedBundles, 'find'>;
  /** Trust domains that administrators and callers with roles are of. */
  readonly trustDomains: readonly TrustDomain[];
}

/** The bundles that SVIDs of callers are verified with: our own, and federated ones that somebody is let in from. */
export class CallerBundles {
  readonly #own: BundleKeeper;
  readonly #federated: Pick<FederatedBundles, 'find'>;
  readonly #trustDomains: ReadonlySet<TrustDomain>;

  constructor({ own, federated, trustDomains }: CallerBundlesOptions) {
    this.#own = own;
    this.#federated = federated;
    this.#trustDomains = new Set(trustDomains);
  }

  /** Nothing where nobody is let in from there, or there is no bundle. */
  find(trustDomain: TrustDomain): Bundle | undefined {
    const { current } = this.#own;
    if (trustDomain === current.trustDomain) return current;
    return this.#trustDomains.has(trustDomain) ? this.#federated.find(trustDomain) : undefined;
  }
}
