import { Agent, type IncomingMessage, request } from 'node:http';
import { readBody, SpiffeError } from '../../plugin-sdk/index.ts';
import { explainSocketError } from './socket-error.ts';

export interface EngineClientOptions {
  /** `Docker` or `Podman`, for messages. */
  readonly name: string;
  readonly socketPath: string;
  /** The configuration's key for it, for messages. */
  readonly key: string;
  /** Of its API, such as `1.41`; its newest where there is none. */
  readonly version?: string | undefined;
  readonly deadlineMs?: number;
}

export interface EngineAnswer {
  readonly status: number;
  readonly body: string;
}

const DEADLINE_MS = 10_000;
/** What is told of a container with ten thousand labels is smaller. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 8;

/** A client of Docker's Engine API, which Podman has too, over its Unix socket. Its connections are kept. */
export class EngineClient implements Disposable {
  readonly name: string;
  readonly socketPath: string;
  readonly #options: EngineClientOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS, maxFreeSockets: 2, timeout: 30_000 });

  constructor(options: EngineClientOptions) {
    this.name = options.name;
    this.socketPath = options.socketPath;
    this.#options = options;
  }

  /**
   * @param path below the version, such as `/containers/…/json`.
   * @throws SpiffeError `UNAVAILABLE` that says what to do, where nobody answers; `DEADLINE_EXCEEDED`, `TOO_LARGE`, `CANCELLED`
   */
  async get(path: string, signal: AbortSignal): Promise<EngineAnswer> {
    const { deadlineMs = DEADLINE_MS } = this.#options;
    const deadline = AbortSignal.timeout(deadlineMs);
    try {
      return await this.#ask(path, AbortSignal.any([signal, deadline]), true);
    } catch (cause) {
      if (cause instanceof SpiffeError) throw cause;
      if (signal.aborted) throw new SpiffeError('CANCELLED', 'nobody waits for the answer any more', { cause });
      if (!deadline.aborted) throw explainSocketError(cause, this.#options);
      const waited = `${this.name} at ${this.socketPath} has not answered for ${deadlineMs / 1000} s`;
      throw new SpiffeError('DEADLINE_EXCEEDED', `${waited}: see whether it hangs, and restart it if so`, { cause });
    }
  }

  /** A kept connection may have been closed by the other side just now: that one is tried once more. */
  async #ask(path: string, signal: AbortSignal, mayRepeat: boolean): Promise<EngineAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<EngineAnswer>();
    const { version } = this.#options;
    const asking = request(
      {
        agent: this.#agent,
        socketPath: this.socketPath,
        path: `${version === undefined ? '' : `/v${version.replace(/^v/, '')}`}${path}`,
        headers: { host: 'localhost', accept: 'application/json' },
        maxHeaderSize: MAX_HEADER_BYTES,
        signal,
      },
      (response) => {
        this.#read(response).then(resolve, (error: unknown) => {
          asking.destroy();
          reject(error);
        });
      },
    );
    asking.on('error', (error) => {
      const isStale = asking.reusedSocket && 'code' in error && ['ECONNRESET', 'EPIPE'].includes(String(error.code));
      if (mayRepeat && isStale) this.#ask(path, signal, false).then(resolve, reject);
      else reject(error);
    });
    asking.end();
    return await promise;
  }

  async #read(response: IncomingMessage): Promise<EngineAnswer> {
    const body = await readBody(response, MAX_BODY_BYTES, () => {
      const answered = `${this.name} at ${this.socketPath} answered with more than ${MAX_BODY_BYTES} bytes`;
      return new SpiffeError('TOO_LARGE', `${answered}: nothing that it tells of a container is so large`);
    });
    return { status: response.statusCode ?? 0, body: body.toString('utf8') };
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}
