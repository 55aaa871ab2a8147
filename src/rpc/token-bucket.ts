import { SpiffeError } from '../spiffe/error.ts';

export interface WaitOptions {
  /** The longest wait that is worth while. */
  readonly maxWaitMs: number;
  /** Whoever aborts it leaves the line, and those behind move up. */
  readonly signal: AbortSignal;
}

/**
 * So many tokens a second, and as many at once after a rest, or a burst of its own. Whoever comes too early waits in line.
 * Source: SPIRE's limiters, whose burst is their rate.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #line = new Map<symbol, { readonly count: number; readonly admit: () => void }>();
  #tokens: number;
  #filledAt = performance.now();
  #tokensAwaited = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(perSecond: number, burst: number = perSecond) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Whether it is as good as new: nothing is lost where it is forgotten. */
  get isIdle(): boolean {
    this.#fill();
    return this.#line.size === 0 && this.#tokens >= this.#burst;
  }

  get hasLine(): boolean {
    return this.#line.size > 0;
  }

  /**
   * @returns a promise of one's turn, or undefined where that is now.
   * @throws SpiffeError `RATE_LIMITED` at once, where the turn would come too late or never.
   */
  take(count: number, { maxWaitMs, signal }: WaitOptions): Promise<void> | undefined {
    if (count > this.#burst) {
      throw new SpiffeError(
        'RATE_LIMITED',
        `${count} at once are more than one address may ask for: ${this.#perSecond} a second`,
      );
    }
    this.#fill();
    if (this.#line.size === 0 && this.#tokens >= count) {
      this.#tokens -= count;
      return undefined;
    }
    const waitMs = this.#msUntil(this.#tokensAwaited + count);
    if (waitMs > maxWaitMs) {
      throw new SpiffeError(
        'RATE_LIMITED',
        `this address may ask for ${this.#perSecond} a second: the turn would come in ${seconds(waitMs)}, which is too late`,
      );
    }
    return this.#wait(count, signal);
  }

  /** Takes one without waiting. @returns whether there was one */
  takeNow(): boolean {
    this.#fill();
    if (this.#line.size > 0 || this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  async #wait(count: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const place = Symbol();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = () => {
      this.#line.delete(place);
      this.#tokensAwaited -= count;
      reject(signal.reason);
      this.#serve();
    };
    signal.addEventListener('abort', leave, { once: true });
    const admit = () => {
      signal.removeEventListener('abort', leave);
      resolve();
    };
    this.#line.set(place, { count, admit });
    this.#tokensAwaited += count;
    this.#serve();
    await promise;
  }

  /** Lets in whoever is first in line and has enough tokens, and comes back for the next one. */
  #serve(): void {
    clearTimeout(this.#timer);
    this.#fill();
    for (const [place, { count, admit }] of this.#line) {
      if (this.#tokens < count) {
        this.#timer = setTimeout(() => this.#serve(), Math.ceil(this.#msUntil(count)));
        return;
      }
      this.#tokens -= count;
      this.#tokensAwaited -= count;
      this.#line.delete(place);
      admit();
    }
  }

  #msUntil(tokens: number): number {
    return Math.max(0, ((tokens - this.#tokens) / this.#perSecond) * 1000);
  }

  #fill(): void {
    const now = performance.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#filledAt) / 1000) * this.#perSecond);
    this.#filledAt = now;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
