import type { ServerConfig } from '../../config/server-config.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { Logger } from '../../log/logger.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import { BundleManager } from './bundle-manager.ts';
import { FederatedBundles } from './federated-bundles.ts';

export interface FederationOptions {
  readonly config: ServerConfig;
  readonly datastore: Datastore;
  readonly bundle: BundleKeeper;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** What the server has of other trust domains. Disposing ends what polls them. */
export class Federation implements AsyncDisposable {
  readonly bundles: FederatedBundles;
  readonly manager: BundleManager;
  readonly #unsubscribe: () => void;

  private constructor(bundles: FederatedBundles, manager: BundleManager, unsubscribe: () => void) {
    this.bundles = bundles;
    this.manager = manager;
    this.#unsubscribe = unsubscribe;
  }

  /** @throws SpiffeError `CONFIG_INVALID` for a relationship with oneself */
  static async start({ config, datastore, bundle, metrics, log }: FederationOptions): Promise<Federation> {
    const { federatesWith: configured = [] } = config.federation ?? {};
    if (configured.some(({ trustDomain }) => trustDomain === config.trustDomain)) {
      throw new SpiffeError(
        'CONFIG_INVALID',
        `server.federation.federates_with: "${config.trustDomain}" is this server's own trust domain, remove it`,
      );
    }
    const bundles = await FederatedBundles.open(datastore.bundles, config.trustDomain);
    const unsubscribe = datastore.changes.subscribe((change) => {
      if (change.log !== 'bundle') return;
      bundles.refresh().catch((error: unknown) => {
        log.error('the federated bundles could not be read', {
          reason: messageOf(error),
        });
      });
    });
    const manager = BundleManager.start({
      configured,
      relationships: datastore.federationRelationships,
      own: bundle,
      federated: bundles,
      requirePqKem: config.experimental.requirePqKem,
      metrics,
      log,
    });
    return new Federation(bundles, manager, unsubscribe);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    await this.manager[Symbol.asyncDispose]();
  }
}
