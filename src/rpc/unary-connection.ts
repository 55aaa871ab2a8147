import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { Status } from '../spiffe/status.ts';
import { frameOf } from './frame-buffer.ts';
import type { OutgoingMetadata } from './metadata.ts';
import { RemoteError } from './status.ts';
import { UnaryResponse } from './unary-response.ts';

export interface UnaryCallOptions {
  readonly signal?: AbortSignal;
  /** From now, in milliseconds; none by default. */
  readonly deadlineMs?: number;
  readonly metadata?: OutgoingMetadata;
}

export interface UnaryConnectionOptions {
  /** Opens the transport, in clear or secured. */
  readonly connect: () => Duplex;
  /** Largest answer taken, in bytes; 4 MiB by default, -1 for no limit. */
  readonly maxMessageBytes?: number;
}

const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** A connection has 2³⁰ stream IDs for its client: RFC 9113 §5.1.1. */
const MAX_CALLS = 2 ** 29;
/** gRPC over HTTP/2: TimeoutValue has 8 digits at most. */
const MAX_TIMEOUT_MS = 99_999_999;

/** The time was out, and the peer had let in the call but not all of its request: it reads nothing. */
export class RequestNotTaken extends RemoteError {}

/**
 * Unary gRPC calls over HTTP/2 and nothing else: no channel, no retries, no interceptors. The same wire as grpc-js, at
 * less than half of its work. Connects when first used and again when lost.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export class UnaryConnection implements Disposable {
  readonly #options: UnaryConnectionOptions;
  #session: ClientHttp2Session | undefined;
  #calls = 0;
  #isDisposed = false;

  constructor(options: UnaryConnectionOptions) {
    this.#options = options;
  }

  /**
   * @param path `/package.Service/Method`
   * @returns the message that was answered
   * @throws RemoteError
   */
  call(path: string, message: Uint8Array, options: UnaryCallOptions): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const { signal, deadlineMs } = options;
      if (signal?.aborted) throw new RemoteError(Status.Cancelled, 'the call was cancelled');
      if (this.#isDisposed) throw new RemoteError(Status.Unavailable, 'the channel has been closed');
      const session = this.#open();
      const stream = session.request(headersOf(path, options));
      const response = new UnaryResponse(this.#options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES);
      const giveUp = (reason: RemoteError) => {
        settle(reason);
        stream.close(constants.NGHTTP2_CANCEL);
      };
      const cancel = () => giveUp(new RemoteError(Status.Cancelled, 'the call was cancelled'));
      const timer =
        deadlineMs === undefined ? undefined : setTimeout(() => giveUp(lateness(stream, deadlineMs)), deadlineMs);
      const settle = (outcome: Uint8Array | RemoteError) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', cancel);
        if (outcome instanceof RemoteError) reject(outcome);
        else resolve(outcome);
      };
      signal?.addEventListener('abort', cancel, { once: true });
      stream.on('response', (headers, flags) => {
        const isLast = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
        const refusal = response.takeHeaders(headers, isLast);
        if (refusal !== undefined) giveUp(refusal);
      });
      stream.on('data', (chunk: Uint8Array) => {
        const refusal = response.takeData(chunk);
        if (refusal !== undefined) giveUp(refusal);
      });
      stream.on('trailers', (trailers) => response.takeTrailers(trailers));
      let failure: Error | undefined;
      stream.on('error', (error) => {
        failure = error; // `close` follows
      });
      stream.on('close', () => settle(response.outcome(session.destroyed ? 'lost' : stream.rstCode, failure)));
      stream.end(frameOf(message));
    });
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#session?.destroy();
    this.#session = undefined;
  }

  #open(): ClientHttp2Session {
    const known = this.#session;
    this.#calls += 1;
    if (known !== undefined && !known.closed && !known.destroyed && this.#calls <= MAX_CALLS) return known;
    known?.close(); // lets its calls end
    const settings = { enablePush: false }; // nobody would take what a peer pushes
    const session = connect('http://localhost', { createConnection: this.#options.connect, settings });
    session.on('error', () => {}); // its streams tell whoever waits
    session.on('close', () => {
      if (this.#session === session) this.#session = undefined;
    });
    this.#session = session;
    this.#calls = 1;
    return session;
  }
}

function lateness(stream: ClientHttp2Stream, deadlineMs: number): RemoteError {
  const reason = `no answer within ${deadlineMs} ms`;
  if (stream.pending || stream.writableFinished) return new RemoteError(Status.DeadlineExceeded, reason);
  return new RequestNotTaken(Status.DeadlineExceeded, `${reason}, the request was not read`);
}

function headersOf(path: string, { deadlineMs, metadata }: UnaryCallOptions): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  if (deadlineMs !== undefined) headers['grpc-timeout'] = `${Math.min(Math.ceil(deadlineMs), MAX_TIMEOUT_MS)}m`;
  for (const [key, value] of Object.entries(metadata ?? {})) {
    headers[key] = typeof value === 'string' ? value : Buffer.from(value).toString('base64');
  }
  return headers;
}
