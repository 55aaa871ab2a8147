import type { AttestedAgent } from '../../datastore/agent-rows.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';

/** More than these are forgotten: a few hundred bytes each. */
const MAX_KNOWN = 100_000;

/**
 * Agents as they were a little while ago, where the configuration lets that count: `max_attested_node_info_staleness`.
 * A change of agents that is heard of ends it at once.
 */
export class RecentAgents implements Disposable {
  readonly #maxStalenessMs: number;
  readonly #known = new Map<SpiffeId, { readonly agent: AttestedAgent; readonly readAtMs: number }>();
  readonly #unsubscribe: () => void;
  #changes = 0;

  constructor(maxStalenessMs: number, changes: Datastore['changes']) {
    this.#maxStalenessMs = maxStalenessMs;
    this.#unsubscribe = changes.subscribe(({ log }) => {
      if (log !== 'agent') return;
      this.#changes += 1;
      this.#known.clear();
    });
  }

  find(spiffeId: SpiffeId): AttestedAgent | undefined {
    const known = this.#known.get(spiffeId);
    return known !== undefined && performance.now() - known.readAtMs < this.#maxStalenessMs ? known.agent : undefined;
  }

  /** Keeps what `read` finds, unless agents change meanwhile. */
  async readThrough(read: () => Promise<AttestedAgent | undefined>): Promise<AttestedAgent | undefined> {
    const before = this.#changes;
    const readAtMs = performance.now();
    const agent = await read();
    if (agent === undefined || before !== this.#changes) return agent;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(agent.spiffeId, { agent, readAtMs });
    return agent;
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }
}
