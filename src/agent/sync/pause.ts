/** Shortest time between two rounds of work, however often somebody asks for one. */
const MIN_GAP_MS = 250;

/** Waits that somebody may cut short. */
export class Pause {
  #isWoken = false;
  #shorten: (() => void) | undefined;

  /** Ends the wait under way, or the next one, soon. */
  wake(): void {
    this.#isWoken = true;
    this.#shorten?.();
  }

  /** Forgets who asked so far: what they want is being done. */
  begin(): void {
    this.#isWoken = false;
  }

  /** @param canBeWoken not while a peer is to be left alone. */
  async wait(milliseconds: number, canBeWoken: boolean, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#shorten = undefined;
        resolve();
      };
      let timer = setTimeout(done, Math.max(milliseconds, MIN_GAP_MS));
      const shorten = () => {
        clearTimeout(timer);
        timer = setTimeout(done, MIN_GAP_MS);
        this.#shorten = undefined;
      };
      if (canBeWoken && this.#isWoken) shorten();
      else if (canBeWoken) this.#shorten = shorten;
      if (signal.aborted) done();
      else signal.addEventListener('abort', done, { once: true });
    });
  }
}
