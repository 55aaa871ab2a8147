import type {
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
  UntypedHandleCall,
} from '@grpc/grpc-js';
import type { Logger } from '../log/logger.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { Status } from '../spiffe/status.ts';
import type { BidiStreaming, CallContext, ClientStreaming, Interceptor, ServerStreaming, Unary } from './call.ts';
import type { CallEnded } from './call-observer.ts';
import type { CallTracer } from './call-tracer.ts';
import type { MethodDefinition } from './definition.ts';
import type { Ending } from './ending.ts';
import { MessageQueue } from './message-queue.ts';
import { CallMetadata, type WithMetadata } from './metadata.ts';
import type { Peer } from './peer.ts';
import { RemoteError, statusOf, toStatus } from './status.ts';

export interface HandlerOptions {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly method: MethodDefinition;
  /** The function of `ServiceHandlers` for this method. */
  readonly handler: unknown;
  /** Whether its calls go on until the server stops, though their requests come in a stream. */
  readonly isEndless: boolean;
  readonly interceptors: readonly Interceptor[];
  readonly log: Logger;
  readonly ended: CallEnded | undefined;
  readonly tracer: CallTracer | undefined;
  /** @param address of the connection, as grpc-js tells it. */
  readonly findPeer: (address: string, authority: string) => Peer | undefined;
  /** Begins when the server stops: a stream of answers would go on for ever, any other call ends by itself, … */
  readonly ending: Ending;
  /** … or is ended once this begins. */
  readonly overdue: Ending;
}

/** Makes what grpc-js calls from a function over values. */
export function createHandler(options: HandlerOptions): UntypedHandleCall {
  const { requestStream, responseStream } = options.method;
  if (requestStream && responseStream) return bidi(options, options.handler as BidiStreaming<unknown, unknown>);
  if (requestStream) return clientStream(options, options.handler as ClientStreaming<unknown, unknown>);
  if (responseStream) return serverStream(options, options.handler as ServerStreaming<unknown, unknown>);
  return unary(options, options.handler as Unary<unknown, unknown>);
}

function unary(options: HandlerOptions, handler: Unary<unknown, unknown>) {
  return (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) =>
    guard(
      options,
      call,
      async (context) => answerOnce(context, callback, await handler(call.request, context)),
      (error) => callback(toStatus(error)),
    );
}

function clientStream(options: HandlerOptions, handler: ClientStreaming<unknown, unknown>) {
  return (call: ServerReadableStream<unknown, unknown> & WithRequests, callback: sendUnaryData<unknown>) => {
    const requests = requestsOf(call);
    return guard(
      options,
      call,
      async (context) => answerOnce(context, callback, await handler(requests, context)),
      (error) => callback(toStatus(error)),
    );
  };
}

function serverStream(options: HandlerOptions, handler: ServerStreaming<unknown, unknown>) {
  return (call: ServerWritableStream<unknown, unknown>) =>
    guard(
      options,
      call,
      (context) => writeAll(call, handler(call.request, context), context.signal),
      (error) => call.emit('error', toStatus(error)),
      'ends when the server stops',
    );
}

function bidi(options: HandlerOptions, handler: BidiStreaming<unknown, unknown>) {
  return (call: ServerDuplexStream<unknown, unknown> & WithRequests) => {
    const requests = requestsOf(call);
    return guard(
      options,
      call,
      (context) => writeAll(call, handler(requests, context), context.signal),
      (error) => call.emit('error', toStatus(error)),
      options.isEndless ? 'ends when the server stops' : 'ends by itself',
    );
  };
}

interface AnyCall extends WithMetadata {
  readonly cancelled: boolean;
  getPeer(): string;
  getHost(): string;
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** One for all: grpc-js says `cancelled` of every call in the end, and Node's own reason is an error made anew each time. */
const CALL_ENDED = new SpiffeError('CANCELLED', 'the call has ended');

/** Of every stream that is ended because the server ends. */
const STOPPING = new SpiffeError('UNAVAILABLE', 'the server is stopping, connect again');

type Life = 'ends by itself' | 'ends when the server stops';

/**
 * Runs a call. Nobody waits for it: what goes wrong even as it is refused is logged, and ends nothing else.
 *
 * A function that waits takes half a kilobyte for as long as a stream is open, so few do: this one and the next do not.
 */
function guard(
  options: HandlerOptions,
  call: AnyCall,
  run: (context: CallContext) => Promise<void>,
  refuse: (error: unknown) => void,
  life: Life = 'ends by itself',
): void {
  const tell = (error: unknown) =>
    options.log.error('a call could not be ended', {
      method: options.path,
      error: error instanceof Error ? error.stack : String(error),
    });
  try {
    withPeer(options, call, run, refuse, life)?.catch(tell);
  } catch (error) {
    tell(error);
  }
}

/** Runs a call with its peer, and its trace where it has one. @returns undefined where nobody is there any more */
function withPeer(
  options: HandlerOptions,
  call: AnyCall,
  run: (context: CallContext) => Promise<void>,
  refuse: (error: unknown) => void,
  life: Life,
): Promise<unknown> | undefined {
  const controller = new AbortController();
  call.on('cancelled', () => controller.abort(CALL_ENDED));
  if (call.cancelled) controller.abort(CALL_ENDED);
  const peer = options.findPeer(call.getPeer(), call.getHost());
  if (peer === undefined) {
    refuse(new SpiffeError('CANCELLED', 'the connection has ended'));
    return undefined;
  }
  const context: CallContext = {
    peer,
    signal: controller.signal,
    deadlineAt: Number(call.getDeadline()),
    method: options.path,
    metadata: new CallMetadata(call),
  };
  const { tracer, ending, overdue } = options;
  const isEndless = life === 'ends when the server stops';
  const end = isEndless ? ending : overdue;
  const overdueCall = isEndless ? undefined : Promise.withResolvers<never>();
  overdueCall?.promise.catch(() => {}); // of a call that has ended nobody waits for it
  const stop = () => {
    controller.abort(STOPPING);
    overdueCall?.reject(STOPPING);
  };
  end.add(stop);
  const work = () => (overdueCall === undefined ? run(context) : Promise.race([run(context), overdueCall.promise]));
  const serve = () => between(options, context, work, refuse).finally(() => end.delete(stop));
  return tracer === undefined ? serve() : tracer.incoming(context, serve);
}

/** Runs a call between its interceptors; whatever it throws becomes one status. */
async function between(
  { path, interceptors, log, ended }: HandlerOptions,
  context: CallContext,
  run: () => Promise<void>,
  refuse: (error: unknown) => void,
): Promise<Status> {
  let failure: unknown;
  const startedAt = performance.now();
  try {
    for (const interceptor of interceptors) await interceptor.before?.(context);
    await run();
  } catch (thrown) {
    const error = context.signal.reason === STOPPING ? STOPPING : thrown;
    failure = error;
    if (!isDeliberate(error) && !context.signal.aborted) {
      log.error('a call failed unexpectedly', {
        method: path,
        error: error instanceof Error ? error.stack : String(error),
      });
    }
    refuse(error);
  }
  for (const interceptor of interceptors) interceptor.after?.(context, failure);
  const status = failure === undefined ? Status.Ok : statusOf(failure);
  ended?.(status, performance.now() - startedAt);
  return status;
}

/** Of a call that was refused meanwhile, the answer comes too late. */
function answerOnce({ signal }: CallContext, callback: sendUnaryData<unknown>, answer: unknown): void {
  if (signal.reason !== STOPPING) callback(null, answer);
}

function isDeliberate(error: unknown): boolean {
  return error instanceof SpiffeError || error instanceof RemoteError;
}

interface WithRequests {
  /** Of a call that goes past grpc-js. */
  readonly requests?: AsyncIterable<unknown>;
}
type RequestStreamCall = (ServerReadableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>) & WithRequests;

function requestsOf(call: RequestStreamCall): AsyncIterable<unknown> {
  return call.requests ?? queueOf(call);
}

/** Requests that nobody took yet; more than these pause the stream. */
const HIGH_WATER = 16;

function queueOf(call: RequestStreamCall): MessageQueue<unknown> {
  const queue = new MessageQueue<unknown>({ onDrain: () => call.resume(), onReturn: () => call.resume() });
  call.on('data', (message) => {
    queue.push(message);
    if (queue.size >= HIGH_WATER) call.pause();
  });
  call.on('end', () => queue.end());
  call.on('cancelled', () => queue.fail(new SpiffeError('CANCELLED', 'the caller cancelled')));
  return queue;
}

async function writeAll(
  call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
  messages: AsyncIterable<unknown>,
  signal: AbortSignal,
): Promise<void> {
  for await (const message of messages) {
    if (signal.aborted) break;
    if (!call.write(message)) await drained(call, signal);
  }
  if (signal.reason === STOPPING) throw STOPPING;
  if (!signal.aborted) call.end();
}

function drained(
  call: { once(event: 'drain', listener: () => void): unknown; off(event: 'drain', listener: () => void): unknown },
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener('abort', done);
      call.off('drain', done);
      resolve();
    };
    if (signal.aborted) return done();
    signal.addEventListener('abort', done);
    call.once('drain', done);
  });
}
