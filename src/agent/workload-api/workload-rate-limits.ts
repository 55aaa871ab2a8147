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

/** Of all selectors, and of those that a process does not choose. */
interface Digests {
  readonly all: string;
  readonly given: string;
}

/** So many times the limit a user has for all that only selectors of its own choice tell apart. */
const SETS_OF_A_USER = 8;

/**
 * So many calls a second of each method for all processes that have the same selectors together; as many at once after a rest.
 *
 * A process can choose some of its selectors: a copy of its program has another path, a changed one another hash, and of the
 * groups that it is in it can make any its own. So what `unix` says but for the user does not count beyond
 * {@link SETS_OF_A_USER} times the limit.
 */
export class WorkloadRateLimits {
  readonly #config: RateLimitConfig;
  readonly #onExceeded: (method: string) => void;
  readonly #buckets = new RecentMap<string, TokenBucket>(MAX_BUCKETS);

  /** Of a list, which workloads with the same selectors share. */
  readonly #digests = new WeakMap<readonly Selector[], Digests>();

  /** @param onExceeded told of every call that is refused */
  constructor(config: RateLimitConfig, onExceeded: (method: string) => void = () => {}) {
    this.#config = config;
    this.#onExceeded = onExceeded;
  }

  /**
   * Counts a call.
   *
   * @param uid of the caller, where it is a process
   * @throws SpiffeError `RATE_LIMITED`
   */
  spend(method: string, selectors: readonly Selector[], uid: number | undefined): void {
    const limited = SETTINGS.get(method);
    if (limited === undefined) return;
    const perSecond = this.#config[limited.setting];
    if (perSecond === 0) return;
    const { all, given } = this.#digestsOf(selectors);
    const ofUser = perSecond * SETS_OF_A_USER;
    const refusedTo = !this.#take(`${method} ${all}`, perSecond)
      ? `workloads like this one may make ${perSecond}`
      : !this.#take(`${method} ${uid} ${given}`, ofUser)
        ? `all programs of user ${uid} here may make ${ofUser}`
        : undefined;
    if (refusedTo === undefined) return;
    this.#onExceeded(method);
    throw new SpiffeError(
      'RATE_LIMITED',
      `${refusedTo} such calls a second (experimental.ratelimit.${limited.name}): call less often, or keep the stream of one call open`,
    );
  }

  #digestsOf(selectors: readonly Selector[]): Digests {
    const known = this.#digests.get(selectors);
    if (known !== undefined) return known;
    const given = selectors.filter(({ type }) => type !== 'unix');
    const digests = { all: digestOfSelectors(selectors), given: digestOfSelectors(given) };
    this.#digests.set(selectors, digests);
    return digests;
  }

  #take(key: string, perSecond: number): boolean {
    const bucket = this.#buckets.get(key) ?? new TokenBucket(perSecond);
    this.#buckets.set(key, bucket);
    return bucket.takeNow();
  }
}
