import { Metadata, type StatusObject } from '@grpc/grpc-js';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { Status } from '../spiffe/status.ts';
import type { MethodDefinition } from './definition.ts';
import { encodeMessage } from './encoded.ts';
import { parseTimeout } from './grpc-timeout.ts';

export interface LeanMethod {
  readonly method: MethodDefinition;
  readonly maxRequestBytes: number;
  /** What grpc-js would call: of a unary method with a callback as well. */
  readonly serve: (call: LeanCall, callback: (error: Partial<StatusObject> | null, answer?: unknown) => void) => void;
}

const FRAME_HEADER_BYTES = 5;
const HEADERS = { ':status': 200, 'content-type': 'application/grpc+proto' } as const;
const OK = { 'grpc-status': '0', 'grpc-message': 'OK' } as const;
/** Of transport and of this call, which no handler reads. */
const NOT_METADATA = ['grpc-timeout', 'grpc-encoding', 'grpc-accept-encoding', 'accept-encoding', 'te', 'content-type'];

/**
 * A call with one request, served on its HTTP/2 stream without the layers of grpc-js, at less than half of their work. It
 * has of grpc-js's calls what `handler.ts` uses. Its connection stays grpc-js's.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export class LeanCall {
  request: unknown;
  cancelled = false;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #method: LeanMethod;
  readonly #deadlineAt: number;
  #timer: NodeJS.Timeout | undefined;
  #onCancelled: (() => void) | undefined;
  #chunks: Buffer[] = [];
  #length = 0;
  #hasResponded = false;
  #hasEnded = false;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, method: LeanMethod) {
    this.#stream = stream;
    this.#headers = headers;
    this.#method = method;
    const timeoutMs = parseTimeout(headers['grpc-timeout']);
    this.#deadlineAt = timeoutMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs;
    if (timeoutMs !== undefined) this.#timer = setTimeout(() => this.#giveUp(), timeoutMs);
    stream.on('error', () => {}); // `close` follows
    stream.on('close', () => this.#cancel());
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('end', () => this.#serve());
  }

  get metadata(): Metadata {
    const metadata = Metadata.fromHttp2Headers(this.#headers);
    for (const name of NOT_METADATA) metadata.remove(name);
    return metadata;
  }

  getPeer(): string {
    return this.#stream.session?.socket?.remoteAddress ?? 'unknown';
  }

  getHost(): string {
    return this.#headers[':authority'] ?? this.#headers.host ?? '';
  }

  getDeadline(): number {
    return this.#deadlineAt;
  }

  on(_event: 'cancelled', listener: () => void): void {
    this.#onCancelled = listener;
  }

  once(_event: 'drain', listener: () => void): void {
    this.#stream.once('drain', listener);
  }

  off(_event: 'drain', listener: () => void): void {
    this.#stream.off('drain', listener);
  }

  emit(_event: 'error', status: Partial<StatusObject>): void {
    this.#refuse(status);
  }

  /** @returns false: wait for `drain`. */
  write(message: unknown): boolean {
    if (!this.#begin()) return true;
    return this.#stream.write(frameOf(encodeMessage(this.#method.method.responseType, message)));
  }

  end(): void {
    if (!this.#begin()) return;
    this.#hasEnded = true;
    this.#stream.end();
  }

  #receive(chunk: Buffer): void {
    if (this.cancelled || this.#hasEnded) return;
    this.#length += chunk.length;
    this.#chunks.push(chunk);
    const { maxRequestBytes } = this.#method;
    if (maxRequestBytes >= 0 && this.#length > maxRequestBytes + FRAME_HEADER_BYTES) {
      this.#refuse({
        code: Status.ResourceExhausted,
        details: `Received message larger than max (${this.#length - FRAME_HEADER_BYTES} vs ${maxRequestBytes})`,
      });
    }
  }

  #serve(): void {
    if (this.cancelled || this.#hasEnded) return;
    const [only] = this.#chunks;
    const bytes = this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks);
    this.#chunks = [];
    const problem = findFrameProblem(bytes);
    if (problem !== undefined) return this.#refuse(problem);
    const { method, serve } = this.#method;
    try {
      this.request = method.requestType.decode(bytes.subarray(FRAME_HEADER_BYTES));
    } catch {
      return this.#refuse({ code: Status.Internal, details: 'Error deserializing request' });
    }
    serve(this, (error, answer) => {
      if (error !== null) return this.#refuse(error);
      if (!this.#begin()) return;
      this.#hasEnded = true;
      this.#stream.end(frameOf(encodeMessage(method.responseType, answer)));
    });
  }

  /** @returns whether there is somebody to answer. */
  #begin(): boolean {
    if (this.#hasEnded || this.cancelled || this.#stream.destroyed || this.#stream.closed) return false;
    if (this.#hasResponded) return true;
    this.#hasResponded = true;
    this.#stream.respond(HEADERS, { waitForTrailers: true });
    this.#stream.once('wantTrailers', () => this.#stream.sendTrailers(this.#trailers ?? OK));
    return true;
  }

  #trailers: Record<string, string> | undefined;

  #refuse({ code = Status.Unknown, details = '', metadata }: Partial<StatusObject>): void {
    if (this.#hasEnded || this.cancelled || this.#stream.destroyed || this.#stream.closed) return;
    this.#hasEnded = true;
    const status = {
      ...metadata?.toHttp2Headers(),
      'grpc-status': String(code),
      'grpc-message': encodeURI(details),
    } as Record<string, string>;
    if (this.#hasResponded) {
      this.#trailers = status;
      this.#stream.end();
      return;
    }
    this.#hasResponded = true;
    this.#stream.respond({ ...HEADERS, ...status }, { endStream: true });
    this.#stream.resume();
    if (!this.#stream.readableEnded) this.#stream.close(constants.NGHTTP2_NO_ERROR); // what else it sends is not wanted
  }

  #giveUp(): void {
    this.#refuse({ code: Status.DeadlineExceeded, details: 'Deadline exceeded' });
    this.#cancel();
  }

  #cancel(): void {
    clearTimeout(this.#timer);
    if (this.cancelled) return;
    this.cancelled = true;
    this.#onCancelled?.();
  }
}

/** Length-Prefixed-Message, not compressed; exactly one. */
function findFrameProblem(bytes: Buffer): Partial<StatusObject> | undefined {
  if (bytes.length < FRAME_HEADER_BYTES) return { code: Status.Unimplemented, details: 'Received no request message' };
  if (bytes[0] !== 0) return { code: Status.Unimplemented, details: 'Received a compressed message without an encoding' };
  const length = bytes.readUInt32BE(1);
  if (length === bytes.length - FRAME_HEADER_BYTES) return undefined;
  return { code: Status.Unimplemented, details: 'Received not exactly one request message' };
}

function frameOf(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, FRAME_HEADER_BYTES);
  return frame;
}
