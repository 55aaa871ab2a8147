import type { BundleRepository } from '../../datastore/bundle-repository.ts';
import { type Bundle, sameBundle } from '../../spiffe/bundle.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { CachedEntry } from '../cached-entry.ts';
import type { EntryCache } from '../entry-cache.ts';
import type { WatchHub } from './watch-hub.ts';

const BUNDLES = { entries: false, bundles: true };

/** Tells every agent of another bundle of its own trust domain, and of a federated one those whose entries federate with it. */
export class BundleChanges {
  readonly #bundles: BundleRepository;
  readonly #cache: EntryCache;
  readonly #hub: WatchHub;
  readonly #own: TrustDomain;
  #federated: ReadonlyMap<TrustDomain, Bundle>;

  private constructor({ bundles, cache, hub, own }: BundleChangesOptions, federated: ReadonlyMap<TrustDomain, Bundle>) {
    this.#bundles = bundles;
    this.#cache = cache;
    this.#hub = hub;
    this.#own = own;
    this.#federated = federated;
  }

  static async open(options: BundleChangesOptions): Promise<BundleChanges> {
    return new BundleChanges(options, await federatedBundles(options.bundles, options.own));
  }

  ownChanged(): void {
    this.#hub.tellAll(BUNDLES);
  }

  /** Looks which federated bundles have changed. */
  async refresh(): Promise<void> {
    const before = this.#federated;
    const now = await federatedBundles(this.#bundles, this.#own);
    this.#federated = now;
    const changed = new Set(
      [...new Set([...before.keys(), ...now.keys()])].filter((name) => !isSame(before.get(name), now.get(name))),
    );
    if (changed.size > 0) this.#hub.tellHolders(this.#holdersOf(changed), BUNDLES);
  }

  #holdersOf(trustDomains: ReadonlySet<TrustDomain>) {
    const agents = new Set<SpiffeId>();
    const aliases = new Set<CachedEntry>();
    const parents = new Set<SpiffeId>();
    for (const entry of this.#cache.all) {
      if (parents.has(entry.parentId) || !entry.federatesWith.some((name) => trustDomains.has(name))) continue;
      parents.add(entry.parentId);
      const holders = this.#cache.holdersOf(entry);
      for (const agent of holders.agents) agents.add(agent);
      for (const alias of holders.aliases) aliases.add(alias);
    }
    return { agents, aliases };
  }
}

export interface BundleChangesOptions {
  readonly bundles: BundleRepository;
  readonly cache: EntryCache;
  readonly hub: WatchHub;
  readonly own: TrustDomain;
}

async function federatedBundles(
  bundles: BundleRepository,
  own: TrustDomain,
): Promise<ReadonlyMap<TrustDomain, Bundle>> {
  const { items } = await bundles.list();
  return new Map(items.filter(({ trustDomain }) => trustDomain !== own).map((bundle) => [bundle.trustDomain, bundle]));
}

function isSame(a: Bundle | undefined, b: Bundle | undefined): boolean {
  return a !== undefined && b !== undefined && a.sequenceNumber === b.sequenceNumber && sameBundle(a, b);
}
