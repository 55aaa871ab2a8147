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
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LatestOnlyOptions<T>) {
    this.#options = options;
  }

  give(value: T): void {
    if (this.#end.signal.aborted) return;
    this.#waiting = { value };
    this.#failures = 0;
    this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
      if (this.#waiting !== undefined && this.#timer === undefined && !this.#end.signal.aborted) this.#start();
    });
    this.#timer = undefined;
  }

  async #work(): Promise<void> {
    const { work } = this.#options;
    const next = this.#waiting;
    if (next === undefined) return;
    this.#waiting = undefined;
    try {
      await work(next.value, this.#end.signal);
    } catch (error) {
      if (!this.#end.signal.aborted) this.#fail(next, error);
    }
  }

  #fail(failed: { readonly value: T }, error: unknown): void {
    const { onFailure, retry } = this.#options;
    const isLast = this.#waiting === undefined;
    const retryMs =
      retry === undefined || !isLast ? undefined : Math.min(retry.firstMs * 2 ** this.#failures, retry.longestMs);
    onFailure(error instanceof Error ? error.message : String(error), retryMs);
    if (retryMs === undefined) return;
    this.#failures += 1;
    this.#waiting = failed;
    this.#timer = setTimeout(() => this.#start(), retryMs);
  }
}
