import type { Peer } from '../../rpc/peer.ts';
import { isSpiffeError } from '../../spiffe/error.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import { MAX_KNOWN_MS } from './known-selectors.ts';
import type { WorkloadView } from './workload-cache.ts';

/** What following a workload takes. */
export interface FollowDeps {
  attest(peer: Peer, signal: AbortSignal): Promise<readonly Selector[]>;
  /** @throws SpiffeError `UNAUTHENTICATED` where the process has ended or is not what it was when it connected. */
  requireSame(peer: Peer): void;
  watch(selectors: readonly Selector[], signal: AbortSignal): AsyncIterable<WorkloadView>;
  /** How often it is attested again; 0: never. */
  readonly reattestSeconds: number;
}

/**
 * What a workload gets from now on: as long as it is the process that connected, and by what it is at the time. Nothing
 * is told to a process that is another by then.
 *
 * @param admit refuses what it is at first
 */
export async function* followWorkload(
  peer: Peer,
  signal: AbortSignal,
  deps: FollowDeps,
  admit: (selectors: readonly Selector[]) => void = () => {},
): AsyncGenerator<WorkloadView> {
  let selectors = await deps.attest(peer, signal);
  admit(selectors);
  while (!signal.aborted) {
    using round = new Round(peer, signal, selectors, deps);
    for await (const view of deps.watch(selectors, round.signal)) {
      deps.requireSame(peer);
      yield view;
    }
    if (signal.aborted) return;
    selectors = round.end();
  }
}

/** Streams that were opened together are not attested together for ever. */
const SPREAD = 0.2;

/** Attests a workload again and again, until it is something else. */
class Round implements Disposable {
  readonly #peer: Peer;
  readonly #deps: FollowDeps;
  readonly #call: AbortSignal;
  readonly #selectors: readonly Selector[];
  readonly #controller = new AbortController();
  readonly #abort = () => this.#controller.abort();
  #timer: NodeJS.Timeout | undefined;
  #next: readonly Selector[] | undefined;
  #failure: unknown;
  #foundAt = performance.now();

  constructor(peer: Peer, call: AbortSignal, selectors: readonly Selector[], deps: FollowDeps) {
    this.#peer = peer;
    this.#call = call;
    this.#selectors = selectors;
    this.#deps = deps;
    call.addEventListener('abort', this.#abort, { once: true });
    if (call.aborted) this.#abort();
    this.#schedule();
  }

  /** Aborted when the call is, and when the workload has other selectors. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The selectors that it has now. @throws what the workload was refused with */
  end(): readonly Selector[] {
    if (this.#next === undefined) throw this.#failure;
    return this.#next;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#call.removeEventListener('abort', this.#abort);
    this.#abort();
  }

  #schedule(): void {
    const { reattestSeconds } = this.#deps;
    if (reattestSeconds === 0 || this.signal.aborted) return;
    const delayMs = reattestSeconds * 1000 * (1 - SPREAD * Math.random());
    this.#timer = setTimeout(() => void this.#attest(), delayMs).unref();
  }

  async #attest(): Promise<void> {
    try {
      const found = await this.#deps.attest(this.#peer, this.signal);
      this.#foundAt = performance.now();
      if (isSameSet(found, this.#selectors)) return this.#schedule();
      this.#next = found;
    } catch (error) {
      // Where no attestor can say anything, what they said before holds for a while.
      const holds = performance.now() - this.#foundAt <= MAX_KNOWN_MS;
      if (holds && isSpiffeError(error, 'WORKLOAD_UNREADABLE')) return this.#schedule();
      this.#failure = error;
    }
    this.#abort();
  }
}

export function isSameSet(a: readonly Selector[], b: readonly Selector[]): boolean {
  const have = new Set(a.map(formatSelector));
  const wanted = new Set(b.map(formatSelector));
  return have.size === wanted.size && [...wanted].every((selector) => have.has(selector));
}
