import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../log/logger.ts';
import type { JwtAuthority } from '../spiffe/bundle.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';

export interface KeySourceOptions {
  /** Where the keys come from, for people: `the server at /run/server/api.sock`. */
  readonly from: string;
  /** @returns once the keys are known, or may have changed; each call gives them anew. */
  readonly fetch: (signal: AbortSignal) => Promise<readonly JwtAuthority[]>;
  readonly pollSeconds: number;
  readonly log: Logger;
}

/** Keys that were had so long ago are not vouched for: five polls, three minutes at least. As SPIRE's provider. */
const STALE_POLLS = 5;
const STALE_AT_LEAST_MS = 180_000;

/** The keys of a trust domain, asked for again and again; those that were had last stay where asking fails. */
export class KeySource implements AsyncDisposable {
  readonly #options: KeySourceOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #startedAt = performance.now();
  #current: readonly JwtAuthority[] | undefined;
  #askedAt: number | undefined;
  #problem: string | undefined;

  private constructor(options: KeySourceOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  static start(options: KeySourceOptions): KeySource {
    return new KeySource(options);
  }

  /** Undefined: none are known yet. */
  get current(): readonly JwtAuthority[] | undefined {
    return this.#current;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** @throws SpiffeError `UNAVAILABLE` where the keys are unknown, or were asked for too long ago */
  requireFresh(): void {
    const { from } = this.#options;
    const reason = this.#problem === undefined ? '' : `: ${this.#problem}`;
    if (this.#askedAt === undefined) throw new SpiffeError('UNAVAILABLE', `no keys were had of ${from} yet${reason}`);
    const ageMs = performance.now() - this.#askedAt;
    if (ageMs < this.#staleMs) return;
    throw new SpiffeError('UNAVAILABLE', `no keys were had of ${from} for ${Math.round(ageMs / 1000)} s${reason}`);
  }

  /** A provider that never had keys may be about to have them. */
  get isStarting(): boolean {
    return this.#askedAt === undefined && performance.now() - this.#startedAt < this.#staleMs;
  }

  get #staleMs(): number {
    return Math.max(STALE_POLLS * this.#options.pollSeconds * 1000, STALE_AT_LEAST_MS);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#ask();
      await sleep(this.#options.pollSeconds * 1000, undefined, { signal }).catch(() => {});
    }
  }

  async #ask(): Promise<void> {
    const { fetch, from, log } = this.#options;
    const { signal } = this.#stop;
    try {
      const keys = await fetch(signal);
      const before = this.#current;
      this.#current = keys;
      this.#askedAt = performance.now();
      this.#problem = undefined;
      const ids = (all: readonly JwtAuthority[]) => all.map(({ keyId }) => keyId).join(', ');
      if (before === undefined || ids(before) !== ids(keys)) log.info('the keys are', { from, key_ids: ids(keys) });
    } catch (error) {
      if (signal.aborted) return;
      const reason = messageOf(error);
      if (reason !== this.#problem) log.warning('the keys were not had', { from, reason });
      this.#problem = reason;
    }
  }
}
