import { SpiffeError } from '../spiffe/error.ts';

/** Somebody who waits for the clock. */
interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
  readonly fail: (error: unknown) => void;
}

/**
 * A clock that a test moves. `read` is the `clock: () => Date` of the programs, of `now` in a plugin, and of anything else that
 * takes a function for the time; `sleep` is a timer that only this clock ends.
 */
export class FakeClock implements AsyncDisposable {
  #nowMs: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(start: Date | string = '2030-01-01T00:00:00Z') {
    this.#nowMs = requireTimeMs(start);
  }

  /** Bound: it can be handed on by itself. */
  readonly read = (): Date => new Date(this.#nowMs);

  /** How many wait in {@link sleep}: what a test polls before it moves the clock. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  /** Moves the clock at once, also back, and wakes nobody: as an administrator who corrects the time. */
  set(time: Date | string): void {
    this.#nowMs = requireTimeMs(time);
  }

  /** Moves the clock on, stopping at each sleeper's time; whoever is woken runs before the clock goes on. */
  async advance(milliseconds: number): Promise<void> {
    if (!(milliseconds >= 0)) {
      throw new SpiffeError('ARGUMENT_INVALID', `a clock advances by 0 ms or more, not ${milliseconds}: use set`);
    }
    const endMs = this.#nowMs + milliseconds;
    for (let next = this.#firstDue(endMs); next !== undefined; next = this.#firstDue(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      this.#sleepers.delete(next);
      next.wake();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#nowMs = endMs;
  }

  /**
   * Ends once the clock has moved on by this much.
   *
   * @throws the signal's reason; SpiffeError `CANCELLED` where the clock is disposed meanwhile
   */
  async sleep(milliseconds: number, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper = { dueMs: this.#nowMs + milliseconds, wake: resolve, fail: reject };
    const abort = () => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    this.#sleepers.add(sleeper);
    try {
      await promise;
    } finally {
      this.#sleepers.delete(sleeper);
      signal?.removeEventListener('abort', abort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { fail } of this.#sleepers) fail(new SpiffeError('CANCELLED', 'the fake clock was disposed'));
    this.#sleepers.clear();
  }

  #firstDue(endMs: number): Sleeper | undefined {
    const due = [...this.#sleepers].filter(({ dueMs }) => dueMs <= endMs);
    return due.toSorted((a, b) => a.dueMs - b.dueMs)[0];
  }
}

function requireTimeMs(time: Date | string): number {
  const milliseconds = new Date(time).getTime();
  if (Number.isNaN(milliseconds)) throw new SpiffeError('ARGUMENT_INVALID', `${String(time)} is no time`);
  return milliseconds;
}
