import type { ChangedLog } from '../../datastore/changes.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { Logger } from '../../log/logger.ts';
import { RotationTimer } from '../../time/rotation-timer.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import type { EntryCache } from '../entry-cache.ts';
import { SyncLog } from '../explain/sync-log.ts';
import type { FederatedBundles } from '../federation/federated-bundles.ts';
import { AgentChanges } from './agent-changes.ts';
import { followBundles } from './bundle-changes.ts';
import { EntryChanges } from './entry-changes.ts';
import { WatchHub } from './watch-hub.ts';

export interface ChangeWatchOptions {
  readonly datastore: Datastore;
  readonly cache: EntryCache;
  readonly bundle: BundleKeeper;
  readonly federated: FederatedBundles;
  readonly log: Logger;
  readonly clock: () => Date;
}

/** How often it is looked for what nobody tells of: what time does, and what another process wrote. */
const LOOK_MS = 1_000;
const BUNDLES_MS = 30_000;

/** Brings what changes, here or on another server of the same database, to the agents that watch. */
export class ChangeWatch implements AsyncDisposable {
  readonly hub: WatchHub;
  readonly syncs: SyncLog;
  readonly #options: ChangeWatchOptions;
  readonly #entries: EntryChanges;
  readonly #agents: AgentChanges;
  readonly #stack = new AsyncDisposableStack();
  #lookedAt: number;

  private constructor(options: ChangeWatchOptions, hub: WatchHub, agents: AgentChanges) {
    const { datastore, bundle, federated, log, clock } = options;
    this.#options = options;
    this.hub = this.#stack.use(hub);
    this.syncs = this.#stack.use(new SyncLog(options.cache, clock));
    this.#agents = agents;
    this.#lookedAt = this.#now();
    this.#entries = this.#stack.use(new EntryChanges(options.cache, hub));
    this.#stack.use(followBundles({ own: bundle, federated, cache: options.cache, hub }));
    this.#stack.defer(datastore.changes.subscribe(({ log: what }) => this.#changed(what)));
    for (const [everyMs, work] of [
      [LOOK_MS, () => this.#look()],
      [BUNDLES_MS, () => federated.refresh()],
    ] as const) {
      const due = () => new Date(clock().getTime() + everyMs);
      const timer = new RotationTimer({ work: () => work().then(due), log, clock, retryMs: everyMs });
      this.#stack.use(timer);
      timer.start(due());
    }
  }

  static async open(options: ChangeWatchOptions): Promise<ChangeWatch> {
    const { datastore, log, clock } = options;
    const hub = new WatchHub({ agents: datastore.agents, clock, log });
    const agents = await AgentChanges.open(datastore.agents, hub);
    return new ChangeWatch(options, hub, agents);
  }

  /** Ends every stream. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** Somebody wrote to the datastore, on this server or on another. */
  #changed(what: ChangedLog): void {
    const { cache, log } = this.#options;
    const refresh: Partial<Record<ChangedLog, () => Promise<void>>> = {
      entry: () => cache.refresh(),
      agent: () => this.#agents.refresh(),
    };
    refresh[what]?.().catch((error: unknown) => {
      log.warning('agents may learn of a change later', { log: what, reason: String(error) });
    });
  }

  async #look(): Promise<void> {
    const now = this.#now();
    this.#entries.expire(this.#lookedAt, now);
    this.#lookedAt = now;
    if (this.hub.size === 0) return;
    await this.#agents.refresh();
    await this.hub.beat();
  }

  /** Unix seconds. */
  #now(): number {
    return Math.floor(this.#options.clock().getTime() / 1000);
  }
}
