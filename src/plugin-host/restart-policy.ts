/** First and longest pause before a plugin that ended is started again; it doubles in between. */
const FIRST_MS = 100;
const LONGEST_MS = 30_000;
/** A plugin that failed this often in the window is reported unhealthy, by name, until it has run for `STABLE_MS`. */
const UNHEALTHY_FAILURES = 5;
const WINDOW_MS = 60_000;
/** Having run for so long, a plugin is well again, and would start anew with the first pause. */
const STABLE_MS = 30_000;

/** When a plugin that keeps ending is started again, and when it counts as unhealthy. */
export class RestartPolicy {
  readonly #now: () => number;
  readonly #random: () => number;
  #failures: readonly number[] = [];
  #consecutive = 0;
  #hasFailedOften = false;
  /** Undefined while it does not run. */
  #runsSince: number | undefined;

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
    this.#runsSince = undefined;
    if (ranForMs >= STABLE_MS) this.#hasFailedOften = false;
    if (this.#failures.length >= UNHEALTHY_FAILURES) this.#hasFailedOften = true;
    this.#consecutive = ranForMs >= STABLE_MS ? 1 : this.#consecutive + 1;
    const pause = Math.min(FIRST_MS * 2 ** (this.#consecutive - 1), LONGEST_MS);
    return pause / 2 + (pause / 2) * this.#random();
  }

  /** Notes that the plugin is ready again. */
  run(): void {
    this.#runsSince = this.#now();
  }

  /** Too many failures within a minute, and no half of one without since then. */
  get isUnhealthy(): boolean {
    if (!this.#hasFailedOften) return false;
    return this.#runsSince === undefined || this.#now() - this.#runsSince < STABLE_MS;
  }
}
