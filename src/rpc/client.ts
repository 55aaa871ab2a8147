import {
  type ClientDuplexStream,
  type ClientReadableStream,
  type CallOptions as GrpcCallOptions,
  Metadata,
} from '@grpc/grpc-js';
import { type CallEnded, type ObserveCalls, observed } from './call-observer.ts';
import { type CallTracer, endOf, traced, withTrace } from './call-tracer.ts';
import type { RpcChannel } from './channel.ts';
import type { MethodDefinition, RequestOf, ResponseOf, ServiceDefinition } from './definition.ts';
import { methodPath } from './definition.ts';
import { encodeMessage } from './encoded.ts';
import { MessageQueue } from './message-queue.ts';
import { type OutgoingMetadata, toMetadata } from './metadata.ts';
import type { OpenCalls } from './open-calls.ts';
import { fromStatus, knownStatus } from './status.ts';

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** From now, in milliseconds; none by default. */
  readonly deadlineMs?: number;
  readonly metadata?: OutgoingMetadata;
}

/** A stream of answers; leaving the loop or disposing cancels the call. */
export interface ServerStreamCall<Response> extends AsyncIterable<Response>, AsyncDisposable {
  /** The next answer, or undefined after the last. @throws RemoteError */
  receive(): Promise<Response | undefined>;
  cancel(): void;
}

export interface BidiCall<Request, Response> extends ServerStreamCall<Response> {
  /** Waits while the peer's window is full. */
  send(request: Request): Promise<void>;
  /** Half-closes: no more requests. */
  end(): void;
}

type CallOf<Method extends MethodDefinition> = Method['requestStream'] extends true
  ? (options?: CallOptions) => BidiCall<RequestOf<Method>, ResponseOf<Method>>
  : Method['responseStream'] extends true
    ? (request: RequestOf<Method>, options?: CallOptions) => ServerStreamCall<ResponseOf<Method>>
    : (request: RequestOf<Method>, options?: CallOptions) => Promise<ResponseOf<Method>>;

/** One function a method. Failures are `RemoteError`s. */
export type Client<Definition extends ServiceDefinition> = {
  readonly [Name in keyof Definition['methods']]: CallOf<Definition['methods'][Name]>;
};

/**
 * @param observe is told how every call ends.
 * @param tracer follows every call to the other side.
 */
export function createClient<Definition extends ServiceDefinition>(
  definition: Definition,
  channel: RpcChannel,
  observe?: ObserveCalls,
  tracer?: CallTracer,
): Client<Definition> {
  const calls = Object.entries(definition.methods).map(([name, method]) => [
    name,
    createCall(definition, method, channel, observe?.(methodPath(definition, method)), tracer),
  ]);
  return Object.fromEntries(calls);
}

function createCall(
  definition: ServiceDefinition,
  method: MethodDefinition,
  channel: RpcChannel,
  ended: CallEnded | undefined,
  tracer: CallTracer | undefined,
): unknown {
  const path = methodPath(definition, method);
  const serialize = (message: never) => encodeMessage(method.requestType, message);
  const deserialize = (bytes: Buffer) => method.responseType.decode(bytes);
  const { client, calls } = channel;
  if (method.requestStream) {
    return (options: CallOptions = {}) => {
      const trace = tracer?.outgoing(path);
      const { metadata, ...rest } = withTrace(options, trace);
      const call = client.makeBidiStreamRequest(path, serialize, deserialize, toMetadata(metadata), grpcOptions(rest));
      return new StreamCall(call, calls, options.signal, endOf(ended, trace));
    };
  }
  if (method.responseStream) {
    return (request: never, options: CallOptions = {}) => {
      const trace = tracer?.outgoing(path);
      const { metadata, ...rest } = withTrace(options, trace);
      const values = toMetadata(metadata);
      const call = client.makeServerStreamRequest(path, serialize, deserialize, request, values, grpcOptions(rest));
      return new StreamCall(call, calls, options.signal, endOf(ended, trace));
    };
  }
  const call = createUnaryCall(path, method, channel);
  const followed: UnaryCall =
    tracer === undefined
      ? call
      : (request, options = {}) => traced(tracer.outgoing(path), options, (more) => call(request, more));
  return ended === undefined
    ? followed
    : (request: never, options: CallOptions = {}) => observed(ended, () => followed(request, options));
}

type UnaryCall = (request: never, options?: CallOptions) => Promise<unknown>;

function createUnaryCall(path: string, method: MethodDefinition, { client, unary, calls }: RpcChannel): UnaryCall {
  if (unary !== undefined) {
    return async (request: never, options: CallOptions = {}) =>
      method.responseType.decode(await unary.call(path, method.requestType.encode(request).finish(), options));
  }
  const serialize = (message: never) => encodeMessage(method.requestType, message);
  const deserialize = (bytes: Buffer) => method.responseType.decode(bytes);
  return (request: never, options: CallOptions = {}) =>
    new Promise((resolve, reject) => {
      const metadata = options.metadata === undefined ? new Metadata() : toMetadata(options.metadata);
      const cancel = () => call.cancel();
      const forget = calls.add(cancel);
      const call = client.makeUnaryRequest(
        path,
        serialize,
        deserialize,
        request,
        metadata,
        grpcOptions(options),
        (error, answer) => {
          options.signal?.removeEventListener('abort', cancel);
          forget();
          if (error === null) resolve(answer);
          else reject(fromStatus(error));
        },
      );
      onAbort(options.signal, cancel);
    });
}

/** More than this many answers that nobody took pause the stream. */
const HIGH_WATER = 16;

class StreamCall<Request, Response> implements BidiCall<Request, Response> {
  readonly #call: ClientReadableStream<Response> | ClientDuplexStream<Request, Response>;
  readonly #responses: MessageQueue<Response>;

  constructor(
    call: ClientReadableStream<Response> | ClientDuplexStream<Request, Response>,
    calls: OpenCalls,
    signal: AbortSignal | undefined,
    ended: CallEnded | undefined,
  ) {
    this.#call = call;
    const cancel = () => call.cancel();
    const close = calls.add(cancel);
    const forget = () => {
      close();
      signal?.removeEventListener('abort', cancel);
    };
    this.#responses = new MessageQueue({ onReturn: cancel, onDrain: () => call.resume() });
    call.on('data', (message: Response) => {
      this.#responses.push(message);
      if (this.#responses.size >= HIGH_WATER) call.pause();
    });
    call.on('end', () => this.#responses.end());
    call.on('error', (error) => {
      forget();
      this.#responses.fail(fromStatus(error));
    });
    const startedAt = performance.now();
    call.on('status', ({ code }) => {
      forget();
      ended?.(knownStatus(code), performance.now() - startedAt);
    });
    onAbort(signal, cancel);
  }

  async receive(): Promise<Response | undefined> {
    return (await this.#responses.next()).value;
  }

  async send(request: Request): Promise<void> {
    const call = this.#call;
    if (!('write' in call) || call.write(request)) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        for (const event of ['drain', 'close', 'error', 'end']) call.off(event, done);
        resolve();
      };
      for (const event of ['drain', 'close', 'error', 'end']) call.on(event, done);
    });
  }

  end(): void {
    if ('end' in this.#call) this.#call.end();
  }

  cancel(): void {
    this.#call.cancel();
  }

  [Symbol.asyncIterator](): AsyncIterator<Response> {
    return this.#responses;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#responses.return();
  }
}

function grpcOptions({ deadlineMs }: CallOptions): GrpcCallOptions {
  return deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
}

function onAbort(signal: AbortSignal | undefined, cancel: () => void): void {
  if (signal?.aborted) cancel();
  else signal?.addEventListener('abort', cancel, { once: true });
}
