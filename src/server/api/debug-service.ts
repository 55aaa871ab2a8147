import type { Datastore } from '../../datastore/datastore.ts';
import { DebugDefinition } from '../../gen/spire/api/server/debug/v1/debug.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { describeSvidChain } from '../../rpc/svid-chain.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import type { ServerIdentity } from '../server-identity.ts';

export interface DebugServiceOptions {
  readonly datastore: Pick<Datastore, 'agents' | 'entries' | 'bundles'>;
  readonly bundle: BundleKeeper;
  readonly identity: Pick<ServerIdentity, 'current'>;
  readonly clock: () => Date;
}

/** Inventory R021. */
export function debugService({ datastore, bundle, identity, clock }: DebugServiceOptions): BoundService {
  const startedAtMs = performance.now();
  return bindService(DebugDefinition, {
    async getInfo() {
      return {
        svidChain: describeSvidChain(identity.current.chain, bundle.current, clock()),
        uptime: Math.floor((performance.now() - startedAtMs) / 1000),
        agentsCount: await datastore.agents.count(),
        entriesCount: await datastore.entries.count(),
        federatedBundlesCount: await datastore.bundles.count(), // with our own, as SPIRE counts
      };
    },
  });
}
