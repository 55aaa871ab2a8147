import type { MethodDefinition, RequestOf, ResponseOf, ServiceDefinition } from './definition.ts';
import type { Encoded } from './encoded.ts';
import type { CallMetadata } from './metadata.ts';
import type { Peer } from './peer.ts';

/** What a handler knows of its call. */
export interface CallContext {
  readonly peer: Peer;
  /** Aborted when the caller cancels, its deadline passes or the connection ends. */
  readonly signal: AbortSignal;
  /** When its caller gives up, in milliseconds since 1970; `Infinity` where that was not said. */
  readonly deadlineAt: number;
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly metadata: CallMetadata;
}

export type Unary<Request, Response> = (request: Request, context: CallContext) => Promise<Response>;
export type ServerStreaming<Request, Response> = (request: Request, context: CallContext) => AsyncIterable<Response>;
export type ClientStreaming<Request, Response> = (
  requests: AsyncIterable<Request>,
  context: CallContext,
) => Promise<Response>;
export type BidiStreaming<Request, Response> = (
  requests: AsyncIterable<Request>,
  context: CallContext,
) => AsyncIterable<Response>;

/** The handler that a method of a generated definition asks for. */
export type HandlerOf<Method extends MethodDefinition> = Method['requestStream'] extends true
  ? Method['responseStream'] extends true
    ? BidiStreaming<RequestOf<Method>, AnswerOf<Method>>
    : ClientStreaming<RequestOf<Method>, AnswerOf<Method>>
  : Method['responseStream'] extends true
    ? ServerStreaming<RequestOf<Method>, AnswerOf<Method>>
    : Unary<RequestOf<Method>, AnswerOf<Method>>;

type AnswerOf<Method extends MethodDefinition> = ResponseOf<Method> | Encoded<ResponseOf<Method>>;

/** One handler a method: async functions, and async generators where the answer is a stream. */
export type ServiceHandlers<Definition extends ServiceDefinition> = {
  readonly [Name in keyof Definition['methods']]: HandlerOf<Definition['methods'][Name]>;
};

/** Sees every call of a server. */
export interface Interceptor {
  /** Runs before the handler, before a request message is handed on; throws to refuse the call. */
  before?(context: CallContext): void | Promise<void>;
  /** Runs once, when the call has ended; `error` is what the caller was refused with. */
  after?(context: CallContext, error: unknown): void;
}
