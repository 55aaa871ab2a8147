/** Tells any number of followers that something changed; changes that come too fast for one are told once. */
export class ChangeSignal {
  #version = 0;
  readonly #waiting = new Set<() => void>();

  notify(): void {
    this.#version += 1;
    for (const wake of this.#waiting) wake();
  }

  /** Yields at once, and again after every change, until aborted. */
  async *follow(signal: AbortSignal): AsyncGenerator<void> {
    let seen: number | undefined;
    while (!signal.aborted) {
      if (seen === this.#version) {
        await this.#next(signal);
        continue;
      }
      seen = this.#version;
      yield;
    }
  }

  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
