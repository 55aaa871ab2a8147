/** One call of a kind; rejects where it fails. */
export type Call = () => Promise<unknown>;

export interface FailedCall {
  readonly kind: string;
  /** On the clock of `performance.now()`. */
  readonly at: number;
  readonly reason: string;
}

/** Calls of several kinds without a pause, each with one caller: what was answered, what failed and when. Disposing ends it. */
export class SteadyLoad implements AsyncDisposable {
  readonly #answered = new Map<string, number>();
  readonly #failed: FailedCall[] = [];
  readonly #callers: Promise<unknown>;
  #isOver = false;

  constructor(calls: Readonly<Record<string, Call>>) {
    this.#callers = Promise.all(Object.entries(calls).map(([kind, call]) => this.#repeat(kind, call)));
  }

  /** Of every kind, since the beginning. */
  get answered(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#answered);
  }

  failedSince(moment: number): readonly FailedCall[] {
    return this.#failed.filter(({ at }) => at >= moment);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#callers;
  }

  async #repeat(kind: string, call: Call): Promise<void> {
    this.#answered.set(kind, 0);
    while (!this.#isOver) {
      try {
        await call();
        this.#answered.set(kind, (this.#answered.get(kind) ?? 0) + 1);
      } catch (error) {
        this.#failed.push({
          kind,
          at: performance.now(),
          reason: error instanceof Error ? error.message : String(error),
        });
      }
    }
  }
}
