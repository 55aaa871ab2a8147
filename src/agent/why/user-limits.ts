import { TokenBucket } from '../../rpc/token-bucket.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { RecentMap } from '../../spiffe/recent-map.ts';

const A_SECOND = 2;
const AT_ONCE = 10;
/** The user that asked longest ago is forgotten first. */
const MAX_USERS = 10_000;

/** How often each user may have a process explained, which takes every attestor. */
export class UserLimits {
  /** By number. */
  readonly #buckets = new RecentMap<number, TokenBucket>(MAX_USERS);

  /** @throws SpiffeError `RATE_LIMITED` */
  spend(uid: number): void {
    const bucket = this.#buckets.get(uid) ?? new TokenBucket(A_SECOND, AT_ONCE);
    this.#buckets.set(uid, bucket);
    if (bucket.takeNow()) return;
    throw new SpiffeError(
      'RATE_LIMITED',
      `user ${uid} may ask ${A_SECOND} times a second why a process has no identity, and ${AT_ONCE} times at once: wait a second and ask again`,
    );
  }
}
