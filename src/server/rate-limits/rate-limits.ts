import type { CallContext, Interceptor } from '../../rpc/call.ts';
import { AddressBuckets } from './address-buckets.ts';
import { LIMITED_METHODS } from './limited-methods.ts';

/** Which of the limits that can be switched off are on. */
export interface RateLimitSettings {
  readonly attestation: boolean;
  readonly signing: boolean;
}

/** Whoever waits longer is refused, whatever its deadline: what waits holds memory. */
const MAX_WAIT_MS = 60_000;

/**
 * Makes calls over TCP wait for their turn, so many a second for each address, and refuses those that would wait too
 * long. A caller on the admin socket never waits.
 */
export class RateLimits implements Interceptor {
  readonly #ofEveryCall = new Map<string, AddressBuckets>();
  readonly #ofHandlers = new Map<string, AddressBuckets>();

  constructor(settings: RateLimitSettings) {
    for (const { perSecond, burst, setting, methods, countedByHandler = [] } of LIMITED_METHODS) {
      if (setting !== undefined && !settings[setting]) continue;
      const buckets = new AddressBuckets(perSecond, { burst });
      for (const method of methods) this.#ofEveryCall.set(method, buckets);
      for (const method of countedByHandler) this.#ofHandlers.set(method, buckets);
    }
  }

  /** Every call counts one. @throws SpiffeError `RATE_LIMITED` */
  before(context: CallContext): Promise<void> | undefined {
    return take(this.#ofEveryCall, context, 1);
  }

  /** For the methods whose handlers know how much a call counts. @throws SpiffeError `RATE_LIMITED` */
  async spend(context: CallContext, count: number): Promise<void> {
    await take(this.#ofHandlers, context, count);
  }
}

function take(
  limits: ReadonlyMap<string, AddressBuckets>,
  { method, peer, deadlineAt, signal }: CallContext,
  count: number,
): Promise<void> | undefined {
  if (peer.kind !== 'tls') return undefined;
  const maxWaitMs = Math.min(MAX_WAIT_MS, deadlineAt - Date.now());
  return limits.get(method)?.of(peer.address).take(count, { maxWaitMs, signal });
}
