import { SpiffeError } from '../../spiffe/error.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import { MAX_KNOWN_MS } from './known-selectors.ts';

export interface ReattestationOptions {
  /** What it was found to be. */
  readonly selectors: readonly Selector[];
  attest(signal: AbortSignal): Promise<readonly Selector[]>;
  /** How often; 0: never. */
  readonly seconds: number;
  /** Whether an error means that nobody can say anything just now: what was said before holds for a while then. */
  isSilence(error: unknown): boolean;
  readonly call: AbortSignal;
  /** Aborted once its process is not what it was; ends it like the call. */
  readonly gone?: AbortSignal | undefined;
}

/** Streams that were opened together are not attested together for ever. */
const SPREAD = 0.2;
/** Node keeps timers of one duration in a list of their own: thousands of streams are to share a few. */
const SPREAD_STEPS = 100;

/** One for all: Node's own reason is an error that is made anew each time. */
const ENDED = new SpiffeError('CANCELLED', 'what was found of the workload holds no more');

/** Attests a workload again and again, until it is something else. Disposing ends that. */
export class Reattestation implements Disposable {
  readonly #options: ReattestationOptions;
  readonly #controller = new AbortController();
  readonly #abort = () => this.#controller.abort(ENDED);
  #timer: NodeJS.Timeout | undefined;
  #next: readonly Selector[] | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #foundAt = performance.now();

  constructor(options: ReattestationOptions) {
    this.#options = options;
    const { call, gone } = options;
    for (const signal of [call, gone]) signal?.addEventListener('abort', this.#abort, { once: true });
    if (call.aborted || gone?.aborted) this.#abort();
    this.#schedule();
  }

  /** Aborted when the call is, and when the workload is something else. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The selectors that it has now, where these are others. @throws what it was refused with */
  get next(): readonly Selector[] | undefined {
    if (this.#failure !== undefined) throw this.#failure.reason;
    return this.#next;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    const { call, gone } = this.#options;
    for (const signal of [call, gone]) signal?.removeEventListener('abort', this.#abort);
    this.#abort();
  }

  #schedule(): void {
    const { seconds } = this.#options;
    if (seconds === 0 || this.signal.aborted) return;
    const step = Math.floor(Math.random() * SPREAD_STEPS);
    const delayMs = seconds * 1000 * (1 - (SPREAD * step) / SPREAD_STEPS);
    this.#timer = setTimeout(() => void this.#attest(), delayMs).unref();
  }

  async #attest(): Promise<void> {
    const { attest, selectors, isSilence } = this.#options;
    try {
      const found = await attest(this.signal);
      this.#foundAt = performance.now();
      if (isSameSet(found, selectors)) return this.#schedule();
      this.#next = found;
    } catch (reason) {
      const holds = performance.now() - this.#foundAt <= MAX_KNOWN_MS;
      if (holds && isSilence(reason)) return this.#schedule();
      this.#failure = { reason };
    }
    this.#abort();
  }
}

function isSameSet(a: readonly Selector[], b: readonly Selector[]): boolean {
  if (a === b) return true;
  const have = new Set(a.map(formatSelector));
  const wanted = new Set(b.map(formatSelector));
  return have.size === wanted.size && [...wanted].every((selector) => have.has(selector));
}
