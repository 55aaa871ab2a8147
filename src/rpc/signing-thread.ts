import { Worker } from 'node:worker_threads';
import { SpiffeError } from '../spiffe/error.ts';
import type { KeyEndpoint } from './managed-tls-key.ts';

export type ToSigningThread =
  | {
      readonly kind: 'open';
      readonly identifier: string;
      readonly keyId: string;
      readonly fingerprint: string | undefined;
      readonly deadlineMs: number;
      readonly endpoint: KeyEndpoint;
    }
  /** The key manager was started again. */
  | { readonly kind: 'move'; readonly identifier: string; readonly endpoint: KeyEndpoint }
  | { readonly kind: 'close'; readonly identifier: string };

export type FromSigningThread =
  | { readonly kind: 'ready'; readonly threadId: number }
  | { readonly kind: 'opened'; readonly identifier: string };

/** The thread that asks key managers for signatures: one for all keys of the thread that opens them, while there are any. */
export class SigningThread implements AsyncDisposable {
  static #shared: SigningThread | undefined;

  readonly #worker: Worker;
  readonly #ready = Promise.withResolvers<number>();
  readonly #opening = new Map<string, PromiseWithResolvers<void>>();
  #users = 0;
  #failure: SpiffeError | undefined;

  private constructor() {
    // A bundle has the thread's code beside it in a file of its own; a source tree has the source.
    const suffix = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#worker = new Worker(new URL(`./managed-tls-key-worker.${suffix}`, import.meta.url), { execArgv: [] });
    this.#worker.unref();
    this.#worker.on('message', (message: FromSigningThread) => {
      if (message.kind === 'ready') this.#ready.resolve(message.threadId);
      else this.#opening.get(message.identifier)?.resolve();
    });
    this.#worker.once('error', (error) => this.#end(error));
    this.#worker.once('exit', (code) => this.#end(new Error(`it exited with code ${code}`)));
  }

  /** Disposed once for each time it was acquired. @throws SpiffeError `INTERNAL` where it does not start. */
  static async acquire(): Promise<SigningThread> {
    SigningThread.#shared ??= new SigningThread();
    const thread = SigningThread.#shared;
    thread.#users += 1;
    try {
      await thread.#ready.promise;
      return thread;
    } catch (error) {
      await thread[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Settles once signatures can be asked for. @returns the thread's id, for the addon's `registerKey` */
  async open(key: Omit<ToSigningThread & { kind: 'open' }, 'kind'>): Promise<number> {
    if (this.#failure !== undefined) throw this.#failure;
    const opening = Promise.withResolvers<void>();
    this.#opening.set(key.identifier, opening);
    try {
      this.#post({ kind: 'open', ...key });
      await opening.promise;
    } finally {
      this.#opening.delete(key.identifier);
    }
    return await this.#ready.promise;
  }

  /** From here on signatures are asked for at `endpoint`. */
  move(identifier: string, endpoint: KeyEndpoint): void {
    this.#post({ kind: 'move', identifier, endpoint });
  }

  close(identifier: string): void {
    this.#post({ kind: 'close', identifier });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#end(new Error('no key needs it any more'));
    await this.#worker.terminate();
  }

  #post(message: ToSigningThread): void {
    this.#worker.postMessage(message);
  }

  #end(cause: Error): void {
    if (this.#failure !== undefined) return;
    if (SigningThread.#shared === this) SigningThread.#shared = undefined;
    const failure = new SpiffeError('INTERNAL', 'the thread that signs TLS handshakes has ended', { cause });
    this.#failure = failure;
    this.#ready.promise.catch(() => {}); // whoever acquires it is told
    this.#ready.reject(failure);
    for (const opening of this.#opening.values()) opening.reject(failure);
  }
}
