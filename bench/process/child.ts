import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

export interface ChildOptions {
  /** What an error calls it, such as `the driver`. */
  readonly name: string;
  /** The module that it runs. */
  readonly path: string;
  readonly endSignal: 'SIGTERM' | 'SIGKILL';
}

interface Message {
  readonly kind: string;
  /** Of a message of the kind `failed`. */
  readonly reason?: string;
}

type OfKind<From extends Message, Kind> = Extract<From, { readonly kind: Kind }>;

/** A module of ours in a process of its own, and the messages to it and from it. Disposing ends it. */
export class Child<To extends Message, From extends Message> implements AsyncDisposable {
  readonly #options: ChildOptions;
  readonly #child: ChildProcess;

  private constructor(options: ChildOptions, child: ChildProcess) {
    this.#options = options;
    this.#child = child;
  }

  static async start<To extends Message, From extends Message>(options: ChildOptions): Promise<Child<To, From>> {
    const child = fork(options.path, { execArgv: [], serialization: 'json' });
    await once(child, 'spawn');
    return new Child(options, child);
  }

  onMessage(listener: (message: From) => void): void {
    this.#child.on('message', listener);
  }

  /** Sends a message and waits for its {@link answer}. */
  async ask<Kind extends From['kind']>(message: To, kind: Kind, deadlineMs?: number): Promise<OfKind<From, Kind>> {
    const answer = this.answer(kind, deadlineMs);
    this.#child.send(message);
    return await answer;
  }

  /**
   * The first message of this kind from now on.
   *
   * @param deadlineMs absent, it may take as long as it takes.
   * @throws Error with the reason of a message of the kind `failed` that comes before; where the process ends, or takes too long.
   */
  async answer<Kind extends From['kind']>(kind: Kind, deadlineMs?: number): Promise<OfKind<From, Kind>> {
    const { name } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<OfKind<From, Kind>>();
    const taken = (message: From) => {
      if (message.kind === 'failed') reject(new Error(message.reason));
      else if (isOfKind(message, kind)) resolve(message);
    };
    const exited = () => reject(new Error(`${name} has ended`));
    const limit =
      deadlineMs === undefined
        ? undefined
        : setTimeout(
            () => reject(new Error(`${name} did not say "${kind}" within ${deadlineMs / 1000} s`)),
            deadlineMs,
          );
    this.#child.on('message', taken);
    this.#child.on('exit', exited);
    try {
      return await promise;
    } finally {
      clearTimeout(limit);
      this.#child.off('message', taken);
      this.#child.off('exit', exited);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill(this.#options.endSignal);
    await exited;
  }
}

function isOfKind<From extends Message, Kind>(message: From, kind: Kind): message is OfKind<From, Kind> {
  return message.kind === kind;
}
