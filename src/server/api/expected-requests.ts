import { SpiffeError } from '../../spiffe/error.ts';

/** One may come before it is asked for: the first, or an answer that crossed the question. */
const MAX_AHEAD = 1;

/**
 * The requests of a stranger's stream, one at a time: a stranger who sends ahead or takes too long is refused, so that
 * none of them holds more than two requests' memory, nor holds it for long. Disposing forgets the deadline.
 */
export class ExpectedRequests<Request> implements Disposable {
  readonly #ahead: Request[] = [];
  readonly #refused = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #waiting: PromiseWithResolvers<Request | undefined> | undefined;
  #end: { readonly error?: unknown } | undefined;

  constructor(requests: AsyncIterable<Request>, deadlineMs: number) {
    this.#timer = setTimeout(() => {
      this.#refuse(new SpiffeError('DEADLINE_EXCEEDED', `the attestation took more than ${deadlineMs / 1000} s`));
    }, deadlineMs);
    void this.#read(requests);
  }

  /** Aborted with the reason once the stranger is refused. */
  get signal(): AbortSignal {
    return this.#refused.signal;
  }

  /** @returns undefined after the last. @throws what the stranger is refused with, or the stream failed with. */
  async next(): Promise<Request | undefined> {
    const request = this.#ahead.shift();
    if (request !== undefined) return request;
    if (this.#end !== undefined) {
      if ('error' in this.#end) throw this.#end.error;
      return undefined;
    }
    this.#waiting = Promise.withResolvers();
    return await this.#waiting.promise;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  async #read(requests: AsyncIterable<Request>): Promise<void> {
    try {
      for await (const request of requests) {
        const waiting = this.#takeWaiting();
        if (waiting !== undefined) waiting.resolve(request);
        else if (this.#ahead.length < MAX_AHEAD) this.#ahead.push(request);
        else return this.#refuse(new SpiffeError('ARGUMENT_INVALID', 'a request came before it was asked for'));
      }
      this.#end ??= {};
      this.#takeWaiting()?.resolve(undefined);
    } catch (error) {
      this.#fail(error);
    }
  }

  #refuse(error: SpiffeError): void {
    this.#ahead.length = 0;
    this.#fail(error);
    this.#refused.abort(error);
  }

  #fail(error: unknown): void {
    this.#end = { error };
    this.#takeWaiting()?.reject(error);
  }

  #takeWaiting(): PromiseWithResolvers<Request | undefined> | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}
