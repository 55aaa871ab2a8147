import type { Logger } from '../log/logger.ts';

/** Longest time that Node's timers take. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Calls `work` when it is due: `work` tells when that is next. A failure is logged and tried again after `retryMs`.
 */
export class RotationTimer implements AsyncDisposable {
  readonly #work: () => Promise<Date>;
  readonly #log: Logger;
  readonly #retryMs: number;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #disposed = false;

  constructor(options: { work: () => Promise<Date>; log: Logger; retryMs: number }) {
    this.#work = options.work;
    this.#log = options.log;
    this.#retryMs = options.retryMs;
  }

  /** Sets the first time; the work runs no earlier than after `minimumMs`. */
  start(due: Date, minimumMs = 100): void {
    if (this.#disposed) return;
    clearTimeout(this.#timer);
    const delayMs = Math.min(Math.max(due.getTime() - Date.now(), minimumMs), MAX_TIMER_MS);
    this.#timer = setTimeout(() => {
      this.#running = this.#run();
    }, delayMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      this.start(await this.#work());
    } catch (error) {
      this.#log.error('a rotation failed and is tried again', {
        error: error instanceof Error ? error.message : String(error),
      });
      this.start(new Date(Date.now() + this.#retryMs));
    }
  }
}
