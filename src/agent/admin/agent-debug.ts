import { DebugDefinition } from '../../gen/spire/agent/debug/v1/debug.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { describeSvidChain } from '../../rpc/svid-chain.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { NodeIdentity } from '../identity/node-identity.ts';
import type { Synchronizer } from '../sync/synchronizer.ts';
import type { TrustBundle } from '../trust-bundle.ts';
import type { JwtSvids } from '../workloads/jwt-svids.ts';
import type { WorkloadCache } from '../workloads/workload-cache.ts';

export interface AgentDebugOptions {
  readonly trust: Pick<TrustBundle, 'current'>;
  readonly cache: Pick<WorkloadCache, 'content'>;
  readonly jwtSvids: Pick<JwtSvids, 'count'>;
  readonly clock: () => Date;
}

/** What only an agent that has attested has. */
interface Attested {
  readonly identity: Pick<NodeIdentity, 'svid'>;
  readonly synchronizer: Pick<Synchronizer, 'lastSyncAt'>;
}

/** Tells how the agent is doing: inventory R078. */
export class AgentDebug {
  readonly #options: AgentDebugOptions;
  readonly #startedAtMs = performance.now();
  #attested: Attested | undefined;

  constructor(options: AgentDebugOptions) {
    this.#options = options;
  }

  /** Goes on with what there is once the agent has attested. */
  follow(attested: Attested): void {
    this.#attested = attested;
  }

  get service(): BoundService {
    return bindService(DebugDefinition, { getInfo: async () => this.#info() });
  }

  #info() {
    const { trust, jwtSvids, clock } = this.#options;
    if (this.#attested === undefined) {
      throw new SpiffeError('FAILED_PRECONDITION', 'the agent has not attested yet: ask again later, or see its log');
    }
    const { identity, synchronizer } = this.#attested;
    const { workloads, stores } = this.#countX509Svids();
    const lastSyncAt = synchronizer.lastSyncAt?.getTime() ?? 0;
    return {
      svidChain: describeSvidChain(identity.svid.chain, trust.current, clock()),
      uptime: Math.floor((performance.now() - this.#startedAtMs) / 1000),
      svidsCount: workloads,
      lastSyncSuccess: BigInt(Math.floor(lastSyncAt / 1000)),
      cachedX509SvidsCount: workloads,
      cachedJwtSvidsCount: jwtSvids.count,
      cachedSvidstoreX509SvidsCount: stores,
    };
  }

  /** Those for workloads, and those for SVID stores. */
  #countX509Svids(): { readonly workloads: number; readonly stores: number } {
    const { content } = this.#options.cache;
    if (content === undefined) return { workloads: 0, stores: 0 };
    const stores = [...content.svids.keys()].filter((id) => content.entries.get(id)?.storeSvid === true).length;
    return { workloads: content.svids.size - stores, stores };
  }
}
