import type { Logger } from '../log/logger.ts';
import { messageOf } from '../spiffe/error.ts';

/** The clock is read again after this long: it may be set, and a machine that sleeps lets no timer run. */
const LONGEST_SLEEP_MS = 10_000;
/** After the clock was set back, what the work needs may have to be made anew by a timer of its own: it runs once more. */
const AGAIN_MS = 20_000;

/**
 * Calls `work` when it is due: `work` tells when that is next. A failure is logged and tried again after `retryMs`. When the
 * clock is set back, to before the time was set, what was made meanwhile is not valid yet: the work is due at once.
 */
export class RotationTimer implements AsyncDisposable {
  readonly #work: () => Promise<Date>;
  readonly #log: Logger;
  readonly #retryMs: number;
  readonly #clock: () => Date;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #disposed = false;
  #failures = 0;

  constructor(options: { work: () => Promise<Date>; log: Logger; clock: () => Date; retryMs: number }) {
    this.#work = options.work;
    this.#log = options.log;
    this.#retryMs = options.retryMs;
    this.#clock = options.clock;
  }

  /** How often the work failed since it last went well. */
  get failures(): number {
    return this.#failures;
  }

  /** Sets the first time; the work runs no earlier than after `minimumMs`. */
  start(due: Date, minimumMs = 100): void {
    this.#wait(due.getTime(), minimumMs, this.#clock().getTime());
  }

  #wait(dueMs: number, minimumMs: number, setAtMs: number): void {
    if (this.#disposed) return;
    clearTimeout(this.#timer);
    const delayMs = Math.max(dueMs - this.#clock().getTime(), minimumMs);
    this.#timer = setTimeout(
      () => {
        const isSetBack = this.#clock().getTime() < setAtMs;
        if (delayMs > LONGEST_SLEEP_MS && !isSetBack) this.#wait(dueMs, 0, setAtMs);
        else this.#running = this.#run(isSetBack);
      },
      Math.min(delayMs, LONGEST_SLEEP_MS),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(isSetBack: boolean): Promise<void> {
    try {
      const due = await this.#work();
      this.#failures = 0;
      const again = this.#clock().getTime() + AGAIN_MS;
      this.start(isSetBack && due.getTime() > again ? new Date(again) : due);
    } catch (error) {
      this.#failures += 1;
      this.#log.error('a rotation failed and is tried again', {
        error: messageOf(error),
      });
      this.start(new Date(this.#clock().getTime() + this.#retryMs));
    }
  }
}
