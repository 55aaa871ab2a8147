/** Shortest time between two rounds of work, however often somebody asks for one. */
const MIN_GAP_MS = 250;
/** The same, where the server says that there is something new; and where the round before failed. */
const NEWS_GAP_MS = 50;
const NEWS_AFTER_FAILURE_MS = 1_000;

/** Waits that somebody may cut short. */
export class Pause {
  /** From the end of the round before, in milliseconds; undefined: nobody asked. */
  #wantedAfterMs: number | undefined;
  #hasNews = false;
  #shorten: (() => void) | undefined;

  /** Ends the wait under way, or the next one, soon. */
  wake(): void {
    this.wakeWithin(MIN_GAP_MS);
  }

  /** Ends it at once, or a moment after the round that has just ended. */
  news(): void {
    this.#hasNews = true;
    this.wakeWithin(NEWS_GAP_MS);
  }

  /** Ends the wait under way, or the next one, no later than so many milliseconds after it began. */
  wakeWithin(milliseconds: number): void {
    this.#wantedAfterMs = Math.min(this.#wantedAfterMs ?? milliseconds, milliseconds);
    this.#shorten?.();
  }

  /** Forgets who asked so far: what they want is being done. */
  begin(): void {
    this.#wantedAfterMs = undefined;
    this.#hasNews = false;
  }

  /** @param canBeWoken not while a peer is to be left alone; it may still have news by itself. */
  async wait(milliseconds: number, canBeWoken: boolean, signal: AbortSignal): Promise<void> {
    const beganAt = performance.now();
    await new Promise<void>((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#shorten = undefined;
        resolve();
      };
      const schedule = () => {
        const lastsMs = Math.min(Math.max(milliseconds, MIN_GAP_MS), this.#wantedMs(canBeWoken));
        clearTimeout(timer);
        timer = setTimeout(done, Math.max(lastsMs - (performance.now() - beganAt), 0));
      };
      schedule();
      this.#shorten = schedule;
      if (signal.aborted) done();
      else signal.addEventListener('abort', done, { once: true });
    });
  }

  #wantedMs(canBeWoken: boolean): number {
    if (canBeWoken) return this.#wantedAfterMs ?? Number.POSITIVE_INFINITY;
    return this.#hasNews ? NEWS_AFTER_FAILURE_MS : Number.POSITIVE_INFINITY;
  }
}
