import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { StatusObject } from '@grpc/grpc-js';
import { SpiffeError } from '../spiffe/error.ts';
import { Status } from '../spiffe/status.ts';
import type { MethodDefinition } from './definition.ts';
import { encodeMessage } from './encoded.ts';
import { frameOf } from './frame-buffer.ts';
import { findTimeoutMs } from './grpc-timeout.ts';
import { HeaderMetadata } from './header-metadata.ts';
import { type RequestProblem, RequestStream } from './request-stream.ts';
import { SingleMessage } from './single-message.ts';
import { toStatus } from './status.ts';

export interface LeanMethod {
  readonly method: MethodDefinition;
  /** Of one request; -1 for no limit. */
  readonly maxRequestBytes: number;
  /** What grpc-js would call; a method with one answer gives it, or its refusal, to `callback`. */
  readonly serve: (call: LeanCall, callback: (refusal: Partial<StatusObject> | null, answer?: unknown) => void) => void;
}

const HEADERS = { ':status': 200, 'content-type': 'application/grpc+proto' } as const;
const OK = { 'grpc-status': '0', 'grpc-message': 'OK' } as const;
/** The longest that a timer of Node takes, 24 days; a call with a later deadline is ended by its caller. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Whether there is nothing about a call that {@link LeanCall} does not know. */
export function isUsualCall(headers: IncomingHttpHeaders): boolean {
  const { 'content-type': type, 'grpc-encoding': encoding, 'grpc-timeout': timeout } = headers;
  return (
    headers[':method'] === 'POST' &&
    (type === 'application/grpc' || type === 'application/grpc+proto') &&
    (encoding === undefined || encoding === 'identity') &&
    findTimeoutMs(timeout) !== undefined
  );
}

/**
 * A call, served on its HTTP/2 stream without the layers of grpc-js, at less than half of their work. To a handler it is
 * what `handler.ts` uses of a call of grpc-js, which goes on to keep its connection.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export class LeanCall {
  /** Of a method with one request. */
  request: unknown;
  /** Of a method with a stream of them. */
  readonly requests: RequestStream | undefined;
  /** Nobody is there to be answered: it was reset, its time is out, or its connection has ended. */
  cancelled = false;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #method: LeanMethod;
  readonly #deadlineAt: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #incoming: SingleMessage | undefined;
  #onCancelled: (() => void) | undefined;
  #trailers: OutgoingHttpHeaders = OK;
  #hasResponded = false;
  /** All that is answered has been given to the stream. */
  #hasEnded = false;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, method: LeanMethod) {
    this.#stream = stream;
    this.#headers = headers;
    this.#method = method;
    const timeoutMs = findTimeoutMs(headers['grpc-timeout']) ?? Number.POSITIVE_INFINITY;
    this.#deadlineAt = Date.now() + timeoutMs;
    if (timeoutMs <= MAX_TIMER_MS) this.#timer = setTimeout(() => this.#giveUp(), timeoutMs);
    stream.on('error', () => {}); // `close` follows
    stream.on('close', () => this.#cancel());
    this.requests = method.method.requestStream ? this.#takeRequests() : undefined;
    if (this.requests === undefined) this.#takeRequest();
    else this.#serve();
  }

  /** Read where somebody asks for a value, and kept nowhere: most calls have none that matters. */
  get metadata(): HeaderMetadata {
    return new HeaderMetadata(this.#headers);
  }

  /** The connection's address, without the port that none of ours has. */
  getPeer(): string {
    return this.#stream.session?.socket?.remoteAddress ?? 'unknown';
  }

  getHost(): string {
    return this.#headers[':authority'] ?? this.#headers.host ?? '';
  }

  /** In milliseconds since 1970; `Infinity` for none. */
  getDeadline(): number {
    return this.#deadlineAt;
  }

  /** @param listener is called once in any case: when the call was cancelled, or has ended. */
  on(_event: 'cancelled', listener: () => void): void {
    this.#onCancelled = listener;
  }

  once(_event: 'drain', listener: () => void): void {
    this.#stream.once('drain', listener);
  }

  off(_event: 'drain', listener: () => void): void {
    this.#stream.off('drain', listener);
  }

  /** Ends a stream of answers with a refusal. */
  emit(_event: 'error', refusal: Partial<StatusObject>): void {
    this.#refuse(refusal);
  }

  /** @returns false: wait for `drain`. */
  write(answer: unknown): boolean {
    const frame = this.#frameOf(answer);
    return this.#respond() ? this.#stream.write(frame) : true;
  }

  end(): void {
    if (!this.#respond()) return;
    this.#hasEnded = true;
    this.#stream.end();
  }

  /** Serves once the one request is there. */
  #takeRequest(): void {
    this.#incoming = new SingleMessage(this.#method.maxRequestBytes);
    this.#stream.on('data', (piece: Buffer) => this.#receive(piece));
    this.#stream.on('end', () => {
      if (this.#isOver || this.#incoming === undefined) return;
      const { message } = this.#incoming;
      this.#incoming = undefined;
      if (typeof message === 'string') this.#refuse(toStatus(this.#refusalOf(message)));
      else this.#serveRequest(message);
    });
  }

  #receive(piece: Buffer): void {
    if (this.#isOver) return;
    const problem = this.#incoming?.take(piece);
    if (problem !== undefined) this.#refuse(toStatus(this.#refusalOf(problem)));
  }

  #serveRequest(message: Uint8Array): void {
    try {
      this.request = this.#method.method.requestType.decode(message);
    } catch {
      this.#refuse(toStatus(this.#refusalOf('not decodable')));
      return;
    }
    this.#serve();
  }

  /** Serves at once; requests come as the handler asks for them. */
  #takeRequests(): RequestStream {
    const { method, maxRequestBytes } = this.#method;
    const requests = new RequestStream({
      maxBytes: maxRequestBytes,
      decode: (message) => method.requestType.decode(message),
      source: this.#stream,
      onProblem: (problem) => {
        const refusal = this.#refusalOf(problem);
        requests.fail(refusal);
        this.#refuse(toStatus(refusal));
        this.#cancel();
      },
    });
    this.#stream.on('data', (piece: Buffer) => requests.push(piece));
    this.#stream.on('end', () => requests.complete());
    this.#stream.on('aborted', () => this.#cancel()); // paused, it is not closed before it is read to its end
    return requests;
  }

  #serve(): void {
    this.#method.serve(this, (refusal, answer) => {
      if (refusal === null) this.#answer(answer);
      else this.#refuse(refusal);
    });
  }

  #answer(answer: unknown): void {
    const frame = this.#frameOf(answer);
    if (!this.#respond()) return;
    this.#hasEnded = true;
    this.#stream.end(frame);
  }

  #frameOf(answer: unknown): Buffer {
    return frameOf(encodeMessage(this.#method.method.responseType, answer));
  }

  get #isOver(): boolean {
    return this.#hasEnded || this.cancelled || this.#stream.destroyed || this.#stream.closed;
  }

  /** Sends headers unless they are sent. @returns whether there is somebody to answer. */
  #respond(): boolean {
    if (this.#isOver) return false;
    if (this.#hasResponded) return true;
    this.#hasResponded = true;
    this.#stream.once('wantTrailers', () => this.#sendTrailers());
    this.#stream.respond(HEADERS, { waitForTrailers: true });
    return true;
  }

  #refuse({ code = Status.Unknown, details = '', metadata }: Partial<StatusObject>): void {
    if (this.#isOver) return;
    this.#hasEnded = true;
    const trailers: OutgoingHttpHeaders = {
      'grpc-status': String(code),
      'grpc-message': encodeURI(details),
      ...metadata?.toHttp2Headers(),
    };
    if (this.#hasResponded) {
      this.#trailers = trailers;
      this.#stream.end();
      return;
    }
    this.#hasResponded = true;
    this.#incoming = undefined;
    this.#stream.respond({ ...HEADERS, ...trailers }, { endStream: true });
    this.#wantNoMore();
  }

  #sendTrailers(): void {
    this.#stream.sendTrailers(this.#trailers);
    if (!this.#stream.readableEnded) setImmediate(() => this.#wantNoMore()); // a reset overtakes them until they are sent
  }

  /** What more the caller sends is not wanted: RFC 9113 §8.1. */
  #wantNoMore(): void {
    this.requests?.fail();
    if (!this.#stream.readableEnded) this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #refusalOf(problem: RequestProblem): SpiffeError {
    switch (problem) {
      case 'too long':
        return new SpiffeError('TOO_LARGE', `the request is larger than ${this.#method.maxRequestBytes} bytes`);
      case 'none':
        return new SpiffeError('UNIMPLEMENTED', 'the method takes one request, and none came');
      case 'more than one':
        return new SpiffeError('UNIMPLEMENTED', 'the method takes one request, and more came');
      case 'cut off':
        return new SpiffeError('INTERNAL', 'the request ended before its message did');
      case 'compressed':
        return new SpiffeError('INTERNAL', 'the request is compressed, and its headers name no encoding');
      case 'not decodable':
        return new SpiffeError('INTERNAL', 'the request cannot be decoded');
    }
  }

  #giveUp(): void {
    this.#refuse({ code: Status.DeadlineExceeded, details: 'the deadline has passed' });
    this.#cancel();
  }

  #cancel(): void {
    clearTimeout(this.#timer);
    if (this.cancelled) return;
    this.cancelled = true;
    this.#incoming = undefined;
    this.requests?.fail();
    this.#onCancelled?.();
  }
}
