import { messageOf } from '../spiffe/error.ts';

export interface LatestOnlyOptions<T> {
  readonly work: (value: T, signal: AbortSignal) => Promise<void>;
  /** Told of each failure. @param retryMs when it is tried again; undefined: it is not */
  readonly onFailure: (reason: string, retryMs: number | undefined) => void;
  /** Pauses double from the first to the longest. Absent: what failed is not tried again. */
  readonly retry?: { readonly firstMs: number; readonly longestMs: number };
}

/** Works on one value at a time; of those given meanwhile, only on the last. Disposing gives up what runs. */
export class LatestOnly<T> implements AsyncDisposable {
  readonly #options: LatestOnlyOptions<T>;
  readonly #end = new AbortController();
  #waiting: { readonly value: T } | undefined;
  #running: Promise<void> | undefined;
  /** Ends a pause before its time. */
  #wake: () => void = () => {};

  constructor(options: LatestOnlyOptions<T>) {
    this.#options = options;
  }

  give(value: T): void {
    if (this.#end.signal.aborted) return;
    this.#waiting = { value };
    this.#wake();
    this.#running ??= Promise.resolve().then(() => this.#run());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    let failures = 0;
    let failed: { readonly value: T } | undefined;
    while (!this.#end.signal.aborted) {
      if (this.#waiting !== undefined) failures = 0;
      const next = this.#waiting ?? failed;
      if (next === undefined) break;
      this.#waiting = undefined;
      failed = undefined;
      try {
        await this.#options.work(next.value, this.#end.signal);
      } catch (error) {
        if (this.#end.signal.aborted) break;
        const pauseMs = this.#pauseAfter(failures);
        failures += 1;
        this.#options.onFailure(messageOf(error), pauseMs);
        if (pauseMs === undefined) continue;
        failed = next;
        await this.#pause(pauseMs);
      }
    }
    this.#running = undefined;
  }

  /** Undefined where what failed is not tried again. */
  #pauseAfter(failures: number): number | undefined {
    const { retry } = this.#options;
    if (retry === undefined || this.#waiting !== undefined) return undefined;
    return Math.min(retry.firstMs * 2 ** Math.min(failures, 20), retry.longestMs);
  }

  async #pause(pauseMs: number): Promise<void> {
    if (this.#waiting !== undefined || this.#end.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => {};
  }
}
