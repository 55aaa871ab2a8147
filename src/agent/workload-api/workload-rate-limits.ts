import type { WorkloadApiRateLimits as RateLimitConfig } from '../../config/agent-config.ts';
import { TokenBucket } from '../../rpc/token-bucket.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { RecentMap } from '../../spiffe/recent-map.ts';
import { digestOfSelectors, type Selector } from '../../spiffe/selector.ts';

/** The key of `ratelimit` that is for a method. Source: inventory C115 to C120. */
const SETTINGS: ReadonlyMap<string, { readonly setting: keyof RateLimitConfig; readonly name: string }> = new Map([
  ['/SpiffeWorkloadAPI/FetchX509SVID', { setting: 'fetchX509Svid', name: 'fetch_x509_svid' }],
  ['/SpiffeWorkloadAPI/FetchJWTSVID', { setting: 'fetchJwtSvid', name: 'fetch_jwt_svid' }],
  ['/SpiffeWorkloadAPI/FetchX509Bundles', { setting: 'fetchX509Bundles', name: 'fetch_x509_bundles' }],
  ['/SpiffeWorkloadAPI/FetchJWTBundles', { setting: 'fetchJwtBundles', name: 'fetch_jwt_bundles' }],
  [
    '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets',
    { setting: 'streamSecrets', name: 'stream_secrets' },
  ],
  ['/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets', { setting: 'fetchSecrets', name: 'fetch_secrets' }],
]);

/** More kinds of workload than a node has; the one that called longest ago is forgotten first. */
const MAX_BUCKETS = 10_000;

/** So many calls a second of each method for all processes that have the same selectors together; as many at once after a rest. */
export class WorkloadRateLimits {
  readonly #config: RateLimitConfig;
  readonly #onExceeded: (method: string) => void;
  readonly #buckets = new RecentMap<string, TokenBucket>(MAX_BUCKETS);

  /** @param onExceeded told of every call that is refused */
  constructor(config: RateLimitConfig, onExceeded: (method: string) => void = () => {}) {
    this.#config = config;
    this.#onExceeded = onExceeded;
  }

  /** Counts a call. @throws SpiffeError `RATE_LIMITED` */
  spend(method: string, selectors: readonly Selector[]): void {
    const limited = SETTINGS.get(method);
    if (limited === undefined) return;
    const perSecond = this.#config[limited.setting];
    if (perSecond === 0) return;
    const key = `${method} ${digestOfSelectors(selectors)}`;
    const bucket = this.#buckets.get(key) ?? new TokenBucket(perSecond);
    this.#buckets.set(key, bucket);
    if (bucket.takeNow()) return;
    this.#onExceeded(method);
    throw new SpiffeError(
      'RATE_LIMITED',
      `workloads like this one may make ${perSecond} such calls a second (experimental.ratelimit.${limited.name}): call less often, or keep the stream of one call open`,
    );
  }
}
