import { constants, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import { Status } from '../spiffe/status.ts';
import { RemoteError, remoteError } from './status.ts';

const FRAME_HEADER_BYTES = 5;

/** What comes back for one unary call, piece by piece. Source: gRPC over HTTP/2, "Responses" and "Errors". */
export class UnaryResponse {
  readonly #maxMessageBytes: number;
  /** Holds `#length` bytes of the answer; the first piece itself, or a copy of all with room for more. */
  #bytes: Uint8Array = new Uint8Array(0);
  #length = 0;
  #status: IncomingHttpHeaders | undefined;

  /** @param maxMessageBytes -1 for no limit */
  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** @returns why the call cannot go on, or nothing. */
  takeHeaders(headers: IncomingHttpHeaders & IncomingHttpStatusHeader, isLast: boolean): RemoteError | undefined {
    if (isLast) this.#status = headers; // Trailers-Only
    const httpStatus = headers[':status'];
    if (httpStatus !== 200 && headers['grpc-status'] === undefined) {
      return new RemoteError(statusOfHttp(httpStatus), `the peer answered with HTTP status ${httpStatus}`);
    }
    if (headers['content-type']?.startsWith('application/grpc') !== true) {
      return new RemoteError(Status.Unknown, 'the peer answered something that is not gRPC');
    }
    return undefined;
  }

  /** @returns why the call cannot go on, or nothing. */
  takeData(chunk: Uint8Array): RemoteError | undefined {
    const length = this.#length + chunk.length;
    if (this.#maxMessageBytes !== -1 && length > this.#maxMessageBytes + FRAME_HEADER_BYTES) return this.#tooLong();
    this.#append(chunk, length);
    // What is announced is refused before it comes.
    const announced = length < FRAME_HEADER_BYTES ? 0 : lengthOf(this.#bytes);
    return this.#maxMessageBytes !== -1 && announced > this.#maxMessageBytes ? this.#tooLong() : undefined;
  }

  /** Pieces may be of one byte each: kept as they come they would take a hundred times their length. */
  #append(chunk: Uint8Array, length: number): void {
    if (this.#length === 0) {
      this.#bytes = chunk;
    } else {
      if (length > this.#bytes.length) {
        const roomier = new Uint8Array(2 * length);
        roomier.set(this.#bytes.subarray(0, this.#length));
        this.#bytes = roomier;
      }
      this.#bytes.set(chunk, this.#length);
    }
    this.#length = length;
  }

  #tooLong(): RemoteError {
    return new RemoteError(Status.ResourceExhausted, `the answer has more than ${this.#maxMessageBytes} bytes`);
  }

  takeTrailers(trailers: IncomingHttpHeaders): void {
    this.#status = trailers;
  }

  /** @param end the code that the stream was closed with, or that its connection went. */
  outcome(end: number | undefined | 'lost', cause: Error | undefined): Uint8Array | RemoteError {
    const status = this.#status?.['grpc-status'];
    if (typeof status !== 'string') return withoutStatus(end, cause);
    if (status !== '0') {
      const { 'grpc-message': message, 'grpc-status-details-bin': details } = this.#status ?? {};
      return remoteError(Number(status), percentDecoded(textOf(message)), Buffer.from(textOf(details), 'base64'));
    }
    return messageOf(this.#bytes.subarray(0, this.#length));
  }
}

/** The one message of a unary answer. */
function messageOf(frame: Uint8Array): Uint8Array | RemoteError {
  const { length } = frame;
  if (length < FRAME_HEADER_BYTES) return new RemoteError(Status.Internal, 'the peer answered without a message');
  if (frame[0] !== 0) return new RemoteError(Status.Internal, 'the answer is compressed, which was not offered');
  if (lengthOf(frame) !== length - FRAME_HEADER_BYTES) {
    return new RemoteError(Status.Internal, 'the answer is not exactly one message');
  }
  return frame.subarray(FRAME_HEADER_BYTES);
}

/** Of the message, as its frame's header says. */
const lengthOf = ({ buffer, byteOffset }: Uint8Array): number => new DataView(buffer, byteOffset).getUint32(1);

function withoutStatus(end: number | undefined | 'lost', cause: Error | undefined): RemoteError {
  switch (end) {
    case constants.NGHTTP2_CANCEL:
      return new RemoteError(Status.Cancelled, 'the peer cancelled the call');
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return new RemoteError(Status.ResourceExhausted, 'the peer asks for fewer calls');
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return new RemoteError(Status.PermissionDenied, 'the peer asks for a better secured connection');
    case constants.NGHTTP2_REFUSED_STREAM:
      return new RemoteError(Status.Unavailable, 'the peer refused the call');
    case 'lost':
      return new RemoteError(Status.Unavailable, `the connection was lost${reasonOf(cause)}`, [], { cause });
    case undefined:
    case constants.NGHTTP2_NO_ERROR:
      return new RemoteError(Status.Unknown, 'the peer ended the call without a status');
    default:
      return new RemoteError(Status.Internal, `the peer ended the call with HTTP/2 error ${end}`, [], { cause });
  }
}

const reasonOf = (cause: Error | undefined): string => (cause === undefined ? '' : `: ${cause.message}`);

/** Source: gRPC's "HTTP to gRPC Status Code Mapping". */
function statusOfHttp(httpStatus: number | undefined): Status {
  switch (httpStatus) {
    case 400:
      return Status.Internal;
    case 401:
      return Status.Unauthenticated;
    case 403:
      return Status.PermissionDenied;
    case 404:
      return Status.Unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return Status.Unavailable;
    default:
      return Status.Unknown;
  }
}

const textOf = (value: string | readonly string[] | undefined): string => (typeof value === 'string' ? value : '');

/** What does not decode stays as it is: a message is for people. */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
