import { SpiffeError } from '../spiffe/error.ts';
import { FrameBuffer } from './frame-buffer.ts';
import type { MessageProblem } from './single-message.ts';

export type RequestProblem = MessageProblem | 'not decodable';

export interface RequestStreamOptions {
  /** Of one message; -1 for no limit. */
  readonly maxBytes: number;
  readonly decode: (message: Uint8Array) => unknown;
  /** What the pieces come from. */
  readonly source: { pause(): unknown; resume(): unknown };
  /** Told once of what cannot be read on from: the call is refused for it. */
  readonly onProblem: (problem: RequestProblem) => void;
}

type Result = IteratorResult<unknown, undefined>;

/** One for all: a call has ended without its requests having, whoever ended it. */
const CANCELLED = new SpiffeError('CANCELLED', 'the caller cancelled');
const DONE: Result = { value: undefined, done: true };
/** With a message that nobody has asked for and more than these behind it the source is paused. */
const MAX_AHEAD_BYTES = 16_384;

/**
 * The requests of a call, for one `for await` loop: each is decoded when the loop asks for it, so that a client who sends
 * ahead holds no more memory than one message takes and a little more. The rest waits on its side of the connection.
 */
export class RequestStream implements AsyncIterableIterator<unknown, undefined, undefined> {
  readonly #options: RequestStreamOptions;
  #frames = new FrameBuffer();
  #waiting: PromiseWithResolvers<Result> | undefined;
  #isPaused = false;
  /** Nothing more comes. */
  #isComplete = false;
  /** Nothing more is read; `error` for whoever asks nevertheless. */
  #end: { readonly error?: unknown } | undefined;

  constructor(options: RequestStreamOptions) {
    this.#options = options;
  }

  push(piece: Uint8Array): void {
    if (this.#end !== undefined) return;
    this.#frames.push(piece);
    this.#hand();
    if (this.#frames.length > MAX_AHEAD_BYTES && this.#frames.hasMessage) this.#pause();
  }

  /** The caller has sent its last one. */
  complete(): void {
    this.#isComplete = true;
    this.#hand();
  }

  /** Whatever is not read yet never will be: the loop ends with `error`. */
  fail(error: unknown = CANCELLED): void {
    if (this.#end !== undefined) return;
    this.#finish({ error });
    this.#takeWaiting()?.reject(error);
  }

  next(): Promise<Result> {
    const waiting = Promise.withResolvers<Result>();
    if (this.#end !== undefined) {
      if ('error' in this.#end) waiting.reject(this.#end.error);
      else waiting.resolve(DONE);
      return waiting.promise;
    }
    this.#waiting = waiting;
    this.#hand();
    if (this.#waiting !== undefined) this.#resume();
    return waiting.promise;
  }

  async return(): Promise<Result> {
    if (this.#end === undefined) this.#finish({});
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Looks at the first message, and hands it to whoever waits for it once it is there. */
  #hand(): void {
    if (this.#end !== undefined) return;
    const problem = this.#findProblem();
    if (problem !== undefined) {
      this.#options.onProblem(problem);
      return;
    }
    if (this.#waiting === undefined) return;
    if (this.#frames.hasMessage) this.#decode();
    else if (this.#isComplete) {
      this.#finish({});
      this.#takeWaiting()?.resolve(DONE);
    }
  }

  #findProblem(): MessageProblem | undefined {
    const { messageBytes, hasMessage, isPlain, length } = this.#frames;
    if (messageBytes !== undefined) {
      if (this.#options.maxBytes !== -1 && messageBytes > this.#options.maxBytes) return 'too long';
      if (!isPlain) return 'compressed';
    }
    return this.#isComplete && length > 0 && !hasMessage ? 'cut off' : undefined;
  }

  #decode(): void {
    let value: unknown;
    try {
      value = this.#options.decode(this.#frames.take());
    } catch {
      this.#options.onProblem('not decodable');
      return;
    }
    this.#takeWaiting()?.resolve({ value, done: false });
  }

  #finish(end: { readonly error?: unknown }): void {
    this.#end = end;
    this.#frames = new FrameBuffer();
    this.#resume(); // what comes is let go
  }

  #pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#options.source.pause();
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#options.source.resume();
  }

  #takeWaiting(): PromiseWithResolvers<Result> | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}
