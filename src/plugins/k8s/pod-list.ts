import type { Pod } from './parse-pod-list.ts';

interface Fetched {
  readonly pods: Promise<readonly Pod[]>;
  /** Of a clock that only goes forward, in milliseconds. */
  readonly begunAt: number;
}

/**
 * The pods of the node, asked for once for all that want them at the same time: whoever comes while an answer is waited
 * for shares it, and so does whoever comes shortly after.
 */
export class PodList implements Disposable {
  readonly #fetch: (signal: AbortSignal) => Promise<readonly Pod[]>;
  readonly #freshMs: number;
  readonly #now: () => number;
  readonly #end = new AbortController();
  #running: Fetched | undefined;
  #last: Fetched | undefined;

  /** @param freshMs how long ago a list may have been asked for */
  constructor(
    fetch: (signal: AbortSignal) => Promise<readonly Pod[]>,
    freshMs: number,
    now: () => number = () => performance.now(),
  ) {
    this.#fetch = fetch;
    this.#freshMs = freshMs;
    this.#now = now;
  }

  /** @throws what the request throws, to each that waits for it; the next begins another */
  get(): Promise<readonly Pod[]> {
    if (this.#running !== undefined) return this.#running.pods;
    const begunAt = this.#now();
    if (this.#last !== undefined && begunAt - this.#last.begunAt < this.#freshMs) return this.#last.pods;
    const fetched = { pods: this.#fetch(this.#end.signal), begunAt };
    this.#running = fetched;
    fetched.pods.then(
      () => this.#settle(fetched),
      () => this.#settle(undefined),
    );
    return fetched.pods;
  }

  [Symbol.dispose](): void {
    this.#end.abort();
  }

  #settle(last: Fetched | undefined): void {
    this.#running = undefined;
    this.#last = last;
  }
}
