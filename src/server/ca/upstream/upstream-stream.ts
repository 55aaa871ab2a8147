import type { Logger } from '../../../log/logger.ts';
import type { Subscription } from '../../../plugin-host/subscription.ts';
import { messageOf, SpiffeError } from '../../../spiffe/error.ts';

interface OpenStream {
  readonly ended: AbortController;
  readonly done: Promise<void>;
}

/** One stream of an upstream authority at a time: another one ends the one before. Disposing ends it too. */
export class UpstreamStream<First, Update> implements AsyncDisposable {
  readonly #what: string;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  #open: OpenStream | undefined;
  #replacing: Promise<unknown> = Promise.resolve();

  constructor(what: string, { log, signal }: { readonly log: Logger; readonly signal: AbortSignal }) {
    this.#what = what;
    this.#log = log;
    this.#signal = signal;
  }

  /**
   * Opens a stream, and once its first message is accepted hands over what comes by it later, one after the other. Where it
   * is not, the stream before goes on.
   *
   * @returns what `accept` made of the first message; undefined where there is no such stream
   */
  replace<Result>(
    subscribe: (signal: AbortSignal) => Promise<Subscription<First, Update> | undefined>,
    accept: (first: First) => Promise<Result>,
    take: (update: Update) => Promise<unknown>,
  ): Promise<Result | undefined> {
    const replacing = this.#replacing.then(() => this.#replace(subscribe, accept, take));
    this.#replacing = replacing.catch(() => {}); // its caller learns of it
    return replacing;
  }

  async #replace<Result>(
    subscribe: (signal: AbortSignal) => Promise<Subscription<First, Update> | undefined>,
    accept: (first: First) => Promise<Result>,
    take: (update: Update) => Promise<unknown>,
  ): Promise<Result | undefined> {
    if (this.#signal.aborted) throw new SpiffeError('CANCELLED', 'the server is ending');
    const ended = new AbortController();
    const subscription = await subscribe(AbortSignal.any([ended.signal, this.#signal]));
    if (subscription === undefined) return undefined;
    try {
      const accepted = await accept(subscription.first);
      await this[Symbol.asyncDispose]();
      this.#open = { ended, done: this.#read(subscription, take, ended.signal) };
      return accepted;
    } catch (error) {
      await subscription[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Settles when the stream has ended, however it did. */
  get done(): Promise<void> {
    return this.#open?.done ?? Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    open?.ended.abort();
    await open?.done;
  }

  async #read(
    subscription: Subscription<First, Update>,
    take: (update: Update) => Promise<unknown>,
    ended: AbortSignal,
  ): Promise<void> {
    await using stream = subscription;
    try {
      for await (const update of stream.updates) {
        await take(update).catch((error: unknown) => this.#complain('could not be taken over', error));
      }
    } catch (error) {
      if (!ended.aborted && !this.#signal.aborted) this.#complain('have ended before their time', error);
    }
  }

  #complain(how: string, error: unknown): void {
    const reason = messageOf(error);
    this.#log.error(`${this.#what} of the upstream authority ${how}`, { error: reason });
  }
}
