import { Worker } from 'node:worker_threads';
import { ERROR_STATUS, type ErrorCode, SpiffeError } from '../spiffe/error.ts';
import { CryptokiError } from './cryptoki-error.ts';
import type { CallKind, Calls, FromThread, ToThread } from './protocol.ts';

/** It runs little code: without a limit V8 maps half a gigabyte for what it compiles, which counts against a sandbox's. */
const HEAP = { codeRangeSizeMb: 16, maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 4 };

/** A thread that calls the module, and its session at the token. It is asked one thing at a time. */
export class TokenThread {
  readonly #worker: Worker;
  #pending: PromiseWithResolvers<FromThread> | undefined;
  #failure: SpiffeError | undefined;

  constructor(modulePath: string) {
    this.#worker = new Worker(workerUrl(), {
      ...{ workerData: modulePath, execArgv: [] },
      resourceLimits: HEAP,
    });
    this.#worker.unref();
    this.#worker.on('message', (reply: FromThread) => {
      const pending = this.#pending;
      this.#pending = undefined;
      this.#worker.unref();
      pending?.resolve(reply);
    });
    this.#worker.once('error', (error) => this.#end(error));
    this.#worker.once('exit', (code) => this.#end(new Error(`it exited with code ${code}`)));
  }

  /** Whether the module has not come back yet from what it was asked; nothing else can be asked until then. */
  get isBusy(): boolean {
    return this.#pending !== undefined;
  }

  get hasEnded(): boolean {
    return this.#failure !== undefined;
  }

  /** Settles once the module has come back, whatever it said. */
  async untilFree(): Promise<void> {
    await this.#pending?.promise.catch(() => {});
  }

  /**
   * @param deadlineMs how long to wait for the module; what it does then, it goes on with
   * @throws CryptokiError
   * @throws SpiffeError `UNAVAILABLE` after the deadline, and those of the thread
   */
  async call<Kind extends CallKind>(
    kind: Kind,
    request: Calls[Kind]['request'],
    deadlineMs: number,
  ): Promise<Calls[Kind]['answer']> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#pending !== undefined) throw new SpiffeError('INTERNAL', 'the thread of the PKCS#11 module is busy');
    const pending = Promise.withResolvers<FromThread>();
    this.#pending = pending;
    this.#worker.ref();
    this.#worker.postMessage({ kind, ...request } as ToThread);
    const reply = await withDeadline(pending.promise, deadlineMs);
    return answerIn(reply) as Calls[Kind]['answer'];
  }

  /** A thread that waits for its module ends once that comes back. */
  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #end(cause: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = new SpiffeError('UNAVAILABLE', 'a thread of the PKCS#11 module has ended', { cause });
    this.#pending?.reject(this.#failure);
    this.#pending = undefined;
  }
}

/** A bundle of a plugin has the thread's code in the folder above, in a file of its own; a source tree has the source. */
function workerUrl(): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL('./token-thread-worker.ts', import.meta.url)
    : new URL('../pkcs11-token-thread.js', import.meta.url);
}

async function withDeadline(reply: Promise<FromThread>, deadlineMs: number): Promise<FromThread> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new SpiffeError('UNAVAILABLE', `the PKCS#11 module has not answered for ${deadlineMs / 1000} s`));
  }, deadlineMs);
  try {
    return await Promise.race([reply, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function answerIn(reply: FromThread): unknown {
  switch (reply.kind) {
    case 'answer':
      return reply.value;
    case 'returned':
      throw new CryptokiError(reply.error.returned, reply.error.number, reply.error.call);
    case 'refused':
      throw new SpiffeError(isErrorCode(reply.code) ? reply.code : 'INTERNAL', reply.message);
    case 'failed':
      throw new SpiffeError('INTERNAL', `the thread of the PKCS#11 module failed: ${reply.message}`);
  }
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_STATUS, code);
}
