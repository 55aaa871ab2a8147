import { steadyOffset } from '../identity/steady-time.ts';

/** Shortest time between two rounds of work, however often somebody asks for one. */
const MIN_GAP_MS = 250;
/** The same, where the server says that there is something new; and where the round before failed. */
const NEWS_GAP_MS = 50;
const NEWS_AFTER_FAILURE_MS = 1_000;

/** How often it is looked at the machine's clock, and how far that has to be set to be worth ending a wait. */
const CLOCK_LOOK_MS = 5_000;
const CLOCK_SET_MS = 2_000;

/** Waits that somebody may cut short, and that end where the machine's clock is set: after it slept, say. */
export class Pause {
  readonly #clock: () => Date;
  /** From the end of the round before, in milliseconds; undefined: nobody asked. */
  #wantedAfterMs: number | undefined;
  #hasNews = false;
  #shorten: (() => void) | undefined;

  constructor(clock: () => Date) {
    this.#clock = clock;
  }

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
    const offsetMs = steadyOffset(this.#clock());
    const isClockSet = () => Math.abs(steadyOffset(this.#clock()) - offsetMs) > CLOCK_SET_MS;
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
        const leftMs = Math.max(lastsMs - (performance.now() - beganAt), 0);
        clearTimeout(timer);
        if (leftMs <= CLOCK_LOOK_MS) timer = setTimeout(done, leftMs);
        else timer = setTimeout(() => (isClockSet() ? done() : schedule()), CLOCK_LOOK_MS);
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
