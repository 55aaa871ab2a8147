import type { Logger } from '../log/logger.ts';
import type { BundlePublisher } from '../plugin-host/kinds/bundle-publisher.ts';
import type { Notifier } from '../plugin-host/kinds/notifier.ts';
import type { Bundle } from '../spiffe/bundle.ts';
import type { BundleKeeper } from './bundle-keeper.ts';
import { LatestOnly } from './latest-only.ts';

export interface BundleAnnouncerOptions {
  readonly notifiers: readonly Notifier[];
  readonly publishers: readonly BundlePublisher[];
  readonly bundle: Pick<BundleKeeper, 'current' | 'subscribe'>;
  readonly log: Logger;
  /** Gives up a start that is under way. */
  readonly signal?: AbortSignal | undefined;
  readonly firstRetryMs?: number;
}

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/**
 * Tells plugins of the server's own bundle: notifiers once of each change that they can keep up with, publishers until they
 * have published it. Each at its own pace: one that is slow gets the newest only. Inventory K008, K012.
 */
export class BundleAnnouncer implements AsyncDisposable {
  readonly #listeners: readonly LatestOnly<Bundle>[];
  readonly #unsubscribe: () => void;

  private constructor({ notifiers, publishers, bundle, log, firstRetryMs = FIRST_RETRY_MS }: BundleAnnouncerOptions) {
    const told = notifiers.map(
      ({ name, notify }) =>
        new LatestOnly<Bundle>({
          work: notify,
          onFailure: (reason) => log.warning('a notifier failed on a bundle update', { notifier: name, reason }),
        }),
    );
    const published = publishers.map(
      ({ name, publishBundle }) =>
        new LatestOnly<Bundle>({
          work: publishBundle,
          onFailure: (reason, retryMs) =>
            log.error('a bundle was not published', { publisher: name, reason, retry_in_ms: retryMs }),
          retry: { firstMs: firstRetryMs, longestMs: LONGEST_RETRY_MS },
        }),
    );
    for (const publisher of published) publisher.give(bundle.current);
    this.#listeners = [...told, ...published];
    this.#unsubscribe = bundle.subscribe((changed) => {
      for (const listener of this.#listeners) listener.give(changed);
    });
  }

  /**
   * Tells each notifier of the bundle that the server starts with, side by side; and all of what changes from then on.
   *
   * @throws what the first of them that failed says: the server is not to start then
   */
  static async start(options: BundleAnnouncerOptions): Promise<BundleAnnouncer> {
    const { notifiers, bundle, signal = new AbortController().signal } = options;
    await Promise.all(notifiers.map((notifier) => notifier.notifyAndAdvise(bundle.current, signal)));
    return new BundleAnnouncer(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    await Promise.all(this.#listeners.map((listener) => listener[Symbol.asyncDispose]()));
  }
}
