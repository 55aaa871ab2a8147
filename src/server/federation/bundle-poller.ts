import type { Logger } from '../../log/logger.ts';
import { statusOf } from '../../rpc/status.ts';
import { type Bundle, sameBundle } from '../../spiffe/bundle.ts';
import { messageOf } from '../../spiffe/error.ts';
import { Status } from '../../spiffe/status.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { pollDelayMs } from './poll-interval.ts';
import { endpointIdOf, type FederationRelationship, sameRelationship } from './relationship.ts';

export interface BundlePollerOptions {
  readonly log: Logger;
  /** The bundle of the partner that is stored. */
  readonly findBundle: (trustDomain: TrustDomain) => Bundle | undefined;
  readonly fetchBundle: (relationship: FederationRelationship, signal: AbortSignal) => Promise<Bundle>;
  readonly store: (bundle: Bundle) => Promise<Bundle>;
  /** Told of every attempt. */
  readonly onFetched: (trustDomain: TrustDomain, status: Status, elapsedMs: number) => void;
  /** Told of every bundle that was another. */
  readonly onUpdated: (trustDomain: TrustDomain) => void;
}

/** Keeps the bundle of one partner up to date. It waits for nobody else, and nobody for it. Disposing ends it. */
export class BundlePoller implements AsyncDisposable {
  readonly #options: BundlePollerOptions;
  readonly #end = new AbortController();
  #relationship: FederationRelationship;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #failures = 0;
  #lastReason: string | undefined;

  constructor(relationship: FederationRelationship, options: BundlePollerOptions) {
    this.#relationship = relationship;
    this.#options = options;
  }

  /** Polls from now on. */
  start(): void {
    void this.refresh().catch(() => {}); // the log has it
  }

  /** Polls by another relationship from now on, at once where it is another. */
  use(relationship: FederationRelationship): void {
    if (sameRelationship(relationship, this.#relationship)) return;
    this.#relationship = relationship;
    this.#options.log.info('a federation relationship has changed', describe(relationship));
    const running = this.#running ?? Promise.resolve();
    void running.catch(() => {}).then(() => this.start()); // what runs is by the one before
  }

  /** Polls now, or waits for the poll that runs. @throws what it failed with */
  refresh(): Promise<void> {
    this.#running ??= this.#poll().finally(() => {
      this.#running = undefined;
      this.#schedule();
    });
    return this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    clearTimeout(this.#timer);
    await this.#running?.catch(() => {});
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#end.signal.aborted) return;
    const delayMs = pollDelayMs(this.#options.findBundle(this.#relationship.trustDomain), this.#failures);
    this.#timer = setTimeout(() => this.start(), delayMs);
  }

  async #poll(): Promise<void> {
    const relationship = this.#relationship;
    const { trustDomain } = relationship;
    const { fetchBundle, onFetched } = this.#options;
    const startedAt = performance.now();
    try {
      await this.#replace(await fetchBundle(relationship, this.#end.signal));
      onFetched(trustDomain, Status.Ok, performance.now() - startedAt);
      this.#failures = 0;
      this.#lastReason = undefined;
    } catch (error) {
      onFetched(trustDomain, statusOf(error), performance.now() - startedAt);
      this.#failures += 1;
      this.#report(error);
      throw error;
    }
  }

  async #replace(fetched: Bundle): Promise<void> {
    const { trustDomain } = fetched;
    const { log, findBundle, store, onUpdated } = this.#options;
    const known = findBundle(trustDomain);
    if (known !== undefined && sameBundle(known, fetched) && fetched.sequenceNumber <= known.sequenceNumber) return;
    if (known !== undefined && fetched.sequenceNumber < known.sequenceNumber) {
      log.warning('a federated trust domain gave its bundle a lower sequence number than before', {
        trust_domain: trustDomain,
        sequence: fetched.sequenceNumber,
        sequence_before: known.sequenceNumber,
      });
    }
    if (fetched.x509Authorities.length + fetched.jwtAuthorities.length === 0) {
      log.warning('a federated trust domain has withdrawn all of its authorities', { trust_domain: trustDomain });
    }
    const stored = await store(fetched);
    onUpdated(trustDomain);
    log.info('bundle refreshed', {
      trust_domain: trustDomain,
      sequence: stored.sequenceNumber,
      x509: stored.x509Authorities.length,
      jwt: stored.jwtAuthorities.length,
    });
  }

  /** A reason that stays the same is told once as an error. */
  #report(error: unknown): void {
    if (this.#end.signal.aborted) return;
    const reason = messageOf(error);
    const level = reason === this.#lastReason ? 'debug' : 'error';
    this.#lastReason = reason;
    this.#options.log[level]('the bundle of a federated trust domain could not be refreshed', {
      ...describe(this.#relationship),
      reason,
      failures: this.#failures,
    });
  }
}

export function describe(relationship: FederationRelationship) {
  const { trustDomain, bundleEndpointUrl, profile } = relationship;
  return {
    trust_domain: trustDomain,
    bundle_endpoint_url: bundleEndpointUrl,
    bundle_endpoint_profile: profile.type,
    endpoint_spiffe_id: endpointIdOf(relationship),
  };
}
