import { constants, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import { Status } from '../spiffe/status.ts';
import { type MessageProblem, SingleMessage } from './single-message.ts';
import { RemoteError, remoteError } from './status.ts';

/** What comes back for one unary call, piece by piece. Source: gRPC over HTTP/2, "Responses" and "Errors". */
export class UnaryResponse {
  readonly #maxMessageBytes: number;
  readonly #message: SingleMessage;
  #status: IncomingHttpHeaders | undefined;

  /** @param maxMessageBytes -1 for no limit */
  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#message = new SingleMessage(maxMessageBytes);
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
    const problem = this.#message.take(chunk);
    return problem === undefined ? undefined : this.#refusal(problem);
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
    const { message: answer } = this.#message;
    return typeof answer === 'string' ? this.#refusal(answer) : answer;
  }

  #refusal(problem: MessageProblem): RemoteError {
    switch (problem) {
      case 'too long':
        return new RemoteError(Status.ResourceExhausted, `the answer has more than ${this.#maxMessageBytes} bytes`);
      case 'none':
        return new RemoteError(Status.Internal, 'the peer answered without a message');
      case 'compressed':
        return new RemoteError(Status.Internal, 'the answer is compressed, which was not offered');
      case 'cut off':
      case 'more than one':
        return new RemoteError(Status.Internal, 'the answer is not exactly one message');
    }
  }
}

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
