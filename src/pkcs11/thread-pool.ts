import { SpiffeError } from '../spiffe/error.ts';
import { TokenThread } from './token-thread.ts';

/** Who waits beyond these is told to come again. */
const MAX_WAITING = 1_000;

/** Threads for the calls that a module has in flight: made when they are needed, as many as allowed, and one for each call. */
export class ThreadPool {
  readonly #modulePath: string;
  #limit: number;
  #isClosed = false;
  readonly #threads = new Set<TokenThread>();
  readonly #taken = new Set<TokenThread>();
  readonly #waiting: PromiseWithResolvers<TokenThread>[] = [];
  readonly #whenQuiet: (() => void)[] = [];

  constructor(modulePath: string, limit: number) {
    this.#modulePath = modulePath;
    this.#limit = limit;
  }

  /** Whether any thread waits for the module. */
  get isQuiet(): boolean {
    return [...this.#threads].every((thread) => !thread.isBusy);
  }

  /** From now on there are no more threads than these; those that are too many go when they are given back. */
  restrict(limit: number): void {
    this.#limit = Math.max(1, Math.min(this.#limit, limit));
  }

  get size(): number {
    return this.#threads.size;
  }

  /** @throws SpiffeError `UNAVAILABLE` where none becomes free in time, `RATE_LIMITED` where too many wait */
  async take(deadlineMs: number): Promise<TokenThread> {
    if (this.#isClosed) throw closed();
    const idle = [...this.#threads].filter((thread) => !this.#taken.has(thread));
    for (const thread of idle) if (thread.hasEnded) this.#threads.delete(thread);
    const free = idle.find((thread) => !thread.hasEnded);
    if (free !== undefined) return this.#took(free);
    if (this.#threads.size < this.#limit) return this.#took(this.#make());
    if (this.#waiting.length >= MAX_WAITING) {
      throw new SpiffeError('RATE_LIMITED', `${MAX_WAITING} calls wait for the PKCS#11 token: try again`);
    }
    const waiting = Promise.withResolvers<TokenThread>();
    this.#waiting.push(waiting);
    const timer = setTimeout(() => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      const all = this.#threads.size === 1 ? 'the one session' : `all ${this.#threads.size} sessions`;
      const message = `${all} at the PKCS#11 token were busy for ${deadlineMs / 1000} s`;
      waiting.reject(new SpiffeError('UNAVAILABLE', message));
    }, deadlineMs);
    try {
      return await waiting.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A thread that still waits for its module is not handed on before that has come back. */
  give(thread: TokenThread): void {
    if (thread.isBusy) {
      void thread.untilFree().then(() => this.give(thread));
      return;
    }
    this.#taken.delete(thread);
    if (this.#taken.size === 0) for (const quiet of this.#whenQuiet.splice(0)) quiet();
    if (thread.hasEnded || this.#threads.size > this.#limit) {
      this.#threads.delete(thread);
      void thread.end();
      if (this.#waiting.length === 0 || this.#threads.size >= this.#limit) return;
      this.#waiting.shift()?.resolve(this.#took(this.#make()));
      return;
    }
    this.#waiting.shift()?.resolve(this.#took(thread));
  }

  /** Settles once nobody has a thread, or after `deadlineMs`. */
  async untilQuiet(deadlineMs: number): Promise<void> {
    if (this.#taken.size === 0) return;
    const quiet = Promise.withResolvers<void>();
    this.#whenQuiet.push(quiet.resolve);
    const timer = setTimeout(quiet.resolve, deadlineMs);
    await quiet.promise;
    clearTimeout(timer);
  }

  /**
   * Nobody gets a thread any more; each one that is free closes its session. One that waits for its module is left to that.
   *
   * @param endsModule lets go of the module, where no thread is in it
   */
  async close(deadlineMs: number, endsModule: boolean): Promise<void> {
    this.#isClosed = true;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(closed());
    await this.untilQuiet(deadlineMs);
    const free = [...this.#threads].filter((thread) => !thread.isBusy && !thread.hasEnded);
    const [last, ...others] = free;
    await Promise.all(others.map((thread) => closeSession(thread, deadlineMs, false)));
    if (last !== undefined) await closeSession(last, deadlineMs, endsModule && this.isQuiet);
    await Promise.all(free.map((thread) => thread.end()));
  }

  #make(): TokenThread {
    const thread = new TokenThread(this.#modulePath);
    this.#threads.add(thread);
    return thread;
  }

  #took(thread: TokenThread): TokenThread {
    this.#taken.add(thread);
    return thread;
  }
}

/** Where that fails there is nothing left to do. */
async function closeSession(thread: TokenThread, deadlineMs: number, endsModule: boolean): Promise<void> {
  await thread.call('close', { endsModule }, deadlineMs).catch(() => {});
}

function closed(): SpiffeError {
  return new SpiffeError('UNAVAILABLE', 'the PKCS#11 token is closed');
}
