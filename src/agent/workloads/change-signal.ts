/** So many are told in one go: thousands of them would keep everybody else from being answered until the last is told. */
const TOLD_AT_ONCE = 100;

/** Tells any number of followers that something changed; changes that come too fast for one are told once. */
export class ChangeSignal {
  #version = 0;
  readonly #waiting = new Set<() => void>();

  notify(): void {
    this.#version += 1;
    this.#tell([...this.#waiting], 0);
  }

  #tell(followers: readonly (() => void)[], start: number): void {
    const end = start + TOLD_AT_ONCE;
    for (const wake of followers.slice(start, end)) wake();
    if (end < followers.length) setImmediate(() => this.#tell(followers, end));
  }

  /** Another one after each change. */
  get version(): number {
    return this.#version;
  }

  /** Yields at once, and again after every change, until aborted. */
  async *follow(signal: AbortSignal): AsyncGenerator<void> {
    let seen: number | undefined;
    while (!signal.aborted) {
      if (seen === this.#version) {
        await this.next(signal);
        continue;
      }
      seen = this.#version;
      yield;
    }
  }

  /** Resolves after the next change, and once aborted. */
  next(signal: AbortSignal): Promise<void> {
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
