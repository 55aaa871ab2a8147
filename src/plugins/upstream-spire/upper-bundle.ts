import { setTimeout as sleep } from 'node:timers/promises';
import { type Bundle, type JwtAuthority, messageOf, type PluginContext } from '../../plugin-sdk/index.ts';
import type { UpperLink } from './upper-link.ts';

type Log = PluginContext['log'];

/** As often as SPIRE asks. */
const POLL_MS = 5_000;

/** The upper server's bundle, asked for again and again while somebody follows it. */
export class UpperBundle {
  readonly #link: UpperLink;
  #current: Bundle | undefined;
  #changed = Promise.withResolvers<void>();
  #followers = 0;
  #isPolling = false;
  #isFailing = false;

  constructor(link: UpperLink) {
    this.#link = link;
  }

  /** Asks now. */
  async fetch(signal: AbortSignal): Promise<Bundle> {
    const bundle = await (await this.#link.server()).getBundle(signal);
    this.#put(bundle);
    return bundle;
  }

  /** What the upper server answered beside a call, which is newer than whatever was asked for before. */
  putJwtAuthorities(jwtAuthorities: readonly JwtAuthority[]): void {
    if (this.#current !== undefined) this.#put({ ...this.#current, jwtAuthorities });
  }

  /** Every bundle from now on, until `signal` ends it. */
  async *follow(log: Log, signal: AbortSignal): AsyncGenerator<Bundle, void, undefined> {
    const ended = AbortSignal.any([signal, this.#link.signal]);
    ended.addEventListener('abort', () => this.#wake(), { once: true });
    this.#followers += 1;
    void this.#poll(log);
    try {
      while (!ended.aborted) {
        await this.#changed.promise;
        if (!ended.aborted && this.#current !== undefined) yield this.#current;
      }
    } finally {
      this.#followers -= 1;
    }
  }

  async #poll(log: Log): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    const { signal } = this.#link;
    for (;;) {
      await sleep(POLL_MS, undefined, { signal }).catch(() => {});
      if (this.#followers === 0 || signal.aborted) break;
      try {
        await this.fetch(signal);
        if (this.#isFailing) log.info('the upper server answers again');
        this.#isFailing = false;
      } catch (error) {
        const reason = messageOf(error);
        log[this.#isFailing ? 'debug' : 'warning']('the bundle of the upper server cannot be fetched: asking on', {
          error: reason,
        });
        this.#isFailing = true;
      }
    }
    this.#isPolling = false;
  }

  #put(bundle: Bundle): void {
    this.#current = bundle;
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
