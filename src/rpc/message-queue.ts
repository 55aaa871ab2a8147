/**
 * Hands messages from a callback world to one `for await` loop.
 *
 * Leaving the loop early calls `onReturn`, once.
 */
export class MessageQueue<Message> implements AsyncIterableIterator<Message, undefined, undefined> {
  readonly #messages: Message[] = [];
  readonly #onReturn: () => void;
  readonly #onDrain: () => void;
  #waiting: { resolve(result: IteratorResult<Message, undefined>): void; reject(error: unknown): void } | undefined;
  #end: { error: unknown } | 'clean' | undefined;

  constructor(options: { onReturn?: () => void; onDrain?: () => void } = {}) {
    this.#onReturn = options.onReturn ?? (() => {});
    this.#onDrain = options.onDrain ?? (() => {});
  }

  /** Messages that nobody has taken yet. */
  get size(): number {
    return this.#messages.length;
  }

  push(message: Message): void {
    if (this.#end !== undefined) return;
    const waiting = this.#takeWaiting();
    if (waiting === undefined) this.#messages.push(message);
    else waiting.resolve({ value: message, done: false });
  }

  /** Ends the loop once what was pushed has been taken. */
  end(): void {
    if (this.#end !== undefined) return;
    this.#end = 'clean';
    this.#takeWaiting()?.resolve({ value: undefined, done: true });
  }

  /** Makes the loop throw once what was pushed has been taken. */
  fail(error: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    this.#takeWaiting()?.reject(error);
  }

  async next(): Promise<IteratorResult<Message, undefined>> {
    const message = this.#messages.shift();
    if (message !== undefined) {
      if (this.#messages.length === 0) this.#onDrain();
      return { value: message, done: false };
    }
    if (this.#end === 'clean') return { value: undefined, done: true };
    if (this.#end !== undefined) throw this.#end.error;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    const ended = this.#end !== undefined;
    this.end();
    this.#messages.length = 0;
    if (!ended) this.#onReturn();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #takeWaiting() {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}
