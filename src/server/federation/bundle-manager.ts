import type { SecureContext } from 'node:tls';
import type { FederatesWithConfig } from '../../config/federation-config.ts';
import type { FederationRelationshipRepository } from '../../datastore/federation-relationship-repository.ts';
import { webRootsContext } from '../../http/web-roots.ts';
import type { Logger } from '../../log/logger.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { callMeter } from '../../telemetry/call-metrics.ts';
import { toSpireLabel } from '../../telemetry/label.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { BundlePoller, type BundlePollerOptions, describe } from './bundle-poller.ts';
import type { FederatedBundles } from './federated-bundles.ts';
import { fetchBundle } from './fetch-bundle.ts';
import { mergeRelationships } from './relationship.ts';

export interface BundleManagerOptions {
  readonly configured: readonly FederatesWithConfig[];
  readonly relationships: Pick<FederationRelationshipRepository, 'list'>;
  readonly own: { readonly current: Bundle };
  readonly federated: FederatedBundles;
  readonly requirePqKem: boolean;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Whom `https_web` trusts; by default, whom this machine does. */
  readonly webRoots?: () => SecureContext;
  readonly fetchDeadlineMs?: number;
}

/** Relationships may be made by another server on the same datastore. SPIRE's interval. */
const RELOAD_MS = 10_000;
const FETCH_DEADLINE_MS = 30_000;

/** Has a poller for each trust domain that is federated with. Disposing ends them. Inventory B016. */
export class BundleManager implements AsyncDisposable {
  readonly #options: BundleManagerOptions;
  readonly #pollers = new Map<TrustDomain, BundlePoller>();
  readonly #pollerOptions: BundlePollerOptions;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> = Promise.resolve();
  #isEnded = false;

  private constructor(options: BundleManagerOptions) {
    this.#options = options;
    this.#pollerOptions = pollerOptions(options);
    this.#timer = setInterval(() => this.reload(), RELOAD_MS);
  }

  static start(options: BundleManagerOptions): BundleManager {
    const manager = new BundleManager(options);
    manager.reload();
    return manager;
  }

  /** Looks at once which relationships there are, without anybody waiting for it. */
  reload(): void {
    void this.#reload().catch((error: unknown) => {
      const reason = messageOf(error);
      this.#options.log.error('the federation relationships could not be read', { reason });
    });
  }

  /**
   * Fetches the bundle of a trust domain now.
   *
   * @returns false where there is no relationship with it. @throws SpiffeError `INTERNAL` with what it failed with
   */
  async refreshBundle(trustDomain: TrustDomain): Promise<boolean> {
    await this.#reload();
    const poller = this.#pollers.get(trustDomain);
    if (poller === undefined) return false;
    try {
      await poller.refresh();
      return true;
    } catch (cause) {
      const reason = cause instanceof SpiffeError ? cause.message : 'see the log';
      throw new SpiffeError('INTERNAL', `failed to refresh bundle: ${reason}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    clearInterval(this.#timer);
    await this.#running;
    await Promise.all([...this.#pollers.values()].map((poller) => poller[Symbol.asyncDispose]()));
  }

  #reload(): Promise<void> {
    const reloaded = this.#running.then(() => this.#reconcile());
    this.#running = reloaded.catch(() => {}); // its callers learn of it
    return reloaded;
  }

  async #reconcile(): Promise<void> {
    const { configured, relationships, log } = this.#options;
    if (this.#isEnded) return;
    const { items } = await relationships.list();
    const wanted = mergeRelationships(configured, items);
    for (const [trustDomain, poller] of this.#pollers) {
      if (wanted.has(trustDomain)) continue;
      this.#pollers.delete(trustDomain);
      void poller[Symbol.asyncDispose]();
      log.info('a trust domain is federated with no longer', { trust_domain: trustDomain });
    }
    for (const [trustDomain, relationship] of wanted) {
      const poller = this.#pollers.get(trustDomain);
      if (poller !== undefined) {
        poller.use(relationship);
        continue;
      }
      const added = new BundlePoller(relationship, this.#pollerOptions);
      this.#pollers.set(trustDomain, added);
      log.info('a trust domain is federated with', describe(relationship));
      added.start();
    }
  }
}

function pollerOptions(options: BundleManagerOptions): BundlePollerOptions {
  const { own, federated, metrics, log, requirePqKem } = options;
  const { webRoots = webRootsContext, fetchDeadlineMs: deadlineMs = FETCH_DEADLINE_MS } = options;
  const findBundle = (trustDomain: TrustDomain) =>
    trustDomain === own.current.trustDomain ? own.current : federated.find(trustDomain);
  const labelOf = (trustDomain: TrustDomain) => [toSpireLabel({ name: 'trust_domain_id', value: trustDomain })];
  return {
    log,
    findBundle,
    fetchBundle: (relationship, signal) =>
      fetchBundle(relationship, { findBundle, webRoots, requirePqKem, deadlineMs, signal }),
    store: (bundle) => federated.store(bundle),
    onFetched: (trustDomain, status, elapsedMs) =>
      callMeter(metrics, ['bundle_manager', 'fetch', 'federated_bundle'], labelOf(trustDomain))(status, elapsedMs),
    onUpdated: (trustDomain) =>
      metrics.counter(['bundle_manager', 'update', 'federated_bundle'], labelOf(trustDomain)).add(1),
  };
}
