import type { ServerConfig } from '../config/server-config.ts';
import type { Datastore } from '../datastore/datastore.ts';
import type { Logger } from '../log/logger.ts';
import { observed } from '../rpc/call-observer.ts';
import { callMeter } from '../telemetry/call-metrics.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { RotationTimer } from '../time/rotation-timer.ts';
import type { EntryCache } from './entry-cache.ts';

export interface HousekeepingOptions {
  readonly config: ServerConfig;
  readonly datastore: Datastore;
  readonly entries: EntryCache;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly clock: () => Date;
}

const PRUNE_INTERVAL_MS = 60_000;
const VERDICTS_KEPT_SECONDS = 90 * 86_400;

/** Forgets what has expired, and looks for entries that another process wrote. Inventory B012, B013. */
export class Housekeeping implements AsyncDisposable {
  readonly #options: HousekeepingOptions;
  readonly #timers: readonly RotationTimer[];

  private constructor(options: HousekeepingOptions) {
    this.#options = options;
    const reloadMs = options.config.experimental.cacheReloadIntervalSeconds * 1000;
    const fullReloadMs = options.config.experimental.fullCacheReloadIntervalSeconds * 1000;
    this.#timers = [
      this.#every(PRUNE_INTERVAL_MS, () => this.#prune()),
      this.#every(reloadMs, () => options.entries.refresh()),
      this.#every(fullReloadMs, () => options.entries.reload()),
    ];
  }

  static start(options: HousekeepingOptions): Housekeeping {
    return new Housekeeping(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) await timer[Symbol.asyncDispose]();
  }

  #every(intervalMs: number, task: () => Promise<void>): RotationTimer {
    const { log, clock } = this.#options;
    const due = () => new Date(clock().getTime() + intervalMs);
    const work = async () => {
      await task();
      return due();
    };
    const timer = new RotationTimer({ work, log, clock, retryMs: intervalMs });
    timer.start(due());
    return timer;
  }

  async #prune(): Promise<void> {
    const { config, datastore, entries, metrics, clock } = this.#options;
    if (!datastore.leads) return; // another server of the same database does
    await datastore.joinTokens.pruneExpired();
    const meter = callMeter(metrics, ['registration_entry', 'manager', 'prune']);
    const pruned = await observed(meter, () => datastore.entries.pruneExpired());
    if (pruned.length > 0) await entries.refresh();
    const nodes = config.pruneAttestedNodes;
    if (nodes !== undefined) {
      await datastore.agents.prune({
        expiredBefore: Math.floor(clock().getTime() / 1000) - nodes.expiredForSeconds,
        includeNonReattestable: nodes.includeTofuNodes,
        limit: nodes.batchSize,
      });
    }
    await datastore.entries.pruneEvents(config.experimental.pruneEventsOlderThanSeconds);
    await datastore.agents.pruneEvents(config.experimental.pruneEventsOlderThanSeconds);
    await datastore.verdicts.prune(VERDICTS_KEPT_SECONDS);
  }
}
