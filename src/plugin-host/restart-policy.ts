/** First and longest pause before a plugin that ended is started again; it doubles in between. */
const FIRST_MS = 100;
const LONGEST_MS = 30_000;
/** A plugin that failed this often in the window is reported unhealthy, by name, until the window has fewer failures. */
const UNHEALTHY_FAILURES = 5;
const WINDOW_MS = 60_000;
/** Having run for so long, a plugin starts anew with the first pause. */
const STABLE_MS = 30_000;

/** When a plugin that keeps ending is started again, and when it counts as unhealthy. */
export class RestartPolicy {
  readonly #now: () => number;
  readonly #random: () => number;
  #failures: readonly number[] = [];
  #consecutive = 0;

  /** @param now milliseconds. @param random from 0 to 1. */
  constructor(now: () => number = () => performance.now(), random: () => number = Math.random) {
    this.#now = now;
    this.#random = random;
  }

  /**
   * Notes that the plugin ended, or did not start.
   *
   * @param ranForMs how long it had been ready.
   * @returns milliseconds to wait, half of them at random so that plugins that fell together do not start together.
   */
  fail(ranForMs: number): number {
    const now = this.#now();
    this.#failures = [...this.#failures.filter((at) => now - at < WINDOW_MS), now].slice(-UNHEALTHY_FAILURES);
    this.#consecutive = ranForMs >= STABLE_MS ? 1 : this.#consecutive + 1;
    const pause = Math.min(FIRST_MS * 2 ** (this.#consecutive - 1), LONGEST_MS);
    return pause / 2 + (pause / 2) * this.#random();
  }

  /** Too many failures within the last minute. */
  get isUnhealthy(): boolean {
    const now = this.#now();
    return this.#failures.filter((at) => now - at < WINDOW_MS).length >= UNHEALTHY_FAILURES;
  }
}
