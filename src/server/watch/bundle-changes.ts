import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import type { CachedEntry } from '../cached-entry.ts';
import type { EntryCache, Holders } from '../entry-cache.ts';
import type { FederatedBundles } from '../federation/federated-bundles.ts';
import type { WatchHub } from './watch-hub.ts';

const BUNDLES = { entries: false, bundles: true };

export interface BundleChangesOptions {
  readonly own: BundleKeeper;
  readonly federated: FederatedBundles;
  readonly cache: EntryCache;
  readonly hub: WatchHub;
}

/**
 * Tells every agent of another bundle of its own trust domain, and of a federated one those whose entries federate with it:
 * once an agent that asks is answered with it. @returns what ends it.
 */
export function followBundles({ own, federated, cache, hub }: BundleChangesOptions): Disposable {
  const stack = new DisposableStack();
  stack.defer(own.subscribe(() => hub.tellAll(BUNDLES)));
  stack.defer(federated.subscribe((trustDomains) => hub.tellHolders(holdersOf(trustDomains, cache), BUNDLES)));
  return stack;
}

function holdersOf(trustDomains: ReadonlySet<TrustDomain>, cache: EntryCache): Holders {
  const agents = new Set<SpiffeId>();
  const aliases = new Set<CachedEntry>();
  const parents = new Set<SpiffeId>();
  for (const entry of cache.all) {
    if (parents.has(entry.parentId) || !entry.federatesWith.some((name) => trustDomains.has(name))) continue;
    parents.add(entry.parentId);
    const holders = cache.holdersOf(entry);
    for (const agent of holders.agents) agents.add(agent);
    for (const alias of holders.aliases) aliases.add(alias);
  }
  return { agents, aliases };
}
