import type { Datastore } from '../datastore/datastore.ts';
import type { Logger } from '../log/logger.ts';
import type { Bundle } from '../spiffe/bundle.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { BundleKeeper } from './bundle-keeper.ts';
import { RotationTimer } from './rotation-timer.ts';

export interface CallerBundlesOptions {
  readonly own: BundleKeeper;
  readonly datastore: Pick<Datastore, 'bundles' | 'changes'>;
  /** Trust domains that administrators and callers with roles are of. */
  readonly trustDomains: readonly TrustDomain[];
  readonly refreshMs: number;
  readonly log: Logger;
  readonly clock: () => Date;
}

/** The bundles that SVIDs of callers are verified with, at hand without a query: our own, and federated ones that somebody is let in from. */
export class CallerBundles implements AsyncDisposable {
  readonly #options: CallerBundlesOptions;
  readonly #federated = new Map<TrustDomain, Bundle>();
  readonly #timer: RotationTimer | undefined;
  readonly #unsubscribe: (() => void) | undefined;

  private constructor(options: CallerBundlesOptions) {
    this.#options = options;
    if (this.#foreign().length === 0) return;
    const { refreshMs, log, clock } = options;
    const due = () => new Date(clock().getTime() + refreshMs);
    const work = async () => {
      await this.refresh();
      return due();
    };
    this.#timer = new RotationTimer({ work, log, clock, retryMs: refreshMs });
    this.#timer.start(due());
    this.#unsubscribe = options.datastore.changes.subscribe(({ log: changed }) => {
      if (changed === 'bundle') this.#timer?.start(clock());
    });
  }

  static async open(options: CallerBundlesOptions): Promise<CallerBundles> {
    const bundles = new CallerBundles(options);
    await bundles.refresh();
    return bundles;
  }

  /** Nothing where nobody is let in from there, or there is no bundle. */
  find(trustDomain: TrustDomain): Bundle | undefined {
    const { current } = this.#options.own;
    return trustDomain === current.trustDomain ? current : this.#federated.get(trustDomain);
  }

  /** Looks at the stored bundles again. */
  async refresh(): Promise<void> {
    for (const trustDomain of this.#foreign()) {
      const bundle = await this.#options.datastore.bundles.find(trustDomain);
      if (bundle === undefined) this.#federated.delete(trustDomain);
      else this.#federated.set(trustDomain, bundle);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe?.();
    await this.#timer?.[Symbol.asyncDispose]();
  }

  #foreign(): readonly TrustDomain[] {
    const { own, trustDomains } = this.#options;
    return [...new Set(trustDomains)].filter((trustDomain) => trustDomain !== own.current.trustDomain);
  }
}
