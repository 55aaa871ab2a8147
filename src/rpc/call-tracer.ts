import { Status } from '../spiffe/status.ts';
import type { CallContext } from './call.ts';
import type { CallEnded } from './call-observer.ts';
import type { CallOptions } from './client.ts';
import type { OutgoingMetadata } from './metadata.ts';
import { statusOf } from './status.ts';

/** Follows calls from program to program. Where there is none, nothing is done for it. */
export interface CallTracer {
  /** Runs a call that came in: calls that are made in it belong to the same trace. */
  incoming(context: CallContext, serve: () => Promise<Status>): Promise<void>;
  /** Told of each call that goes out, before it does. Undefined: the call is not followed. */
  outgoing(path: string): OutgoingTrace | undefined;
}

/** A call on its way. */
export interface OutgoingTrace {
  /** Goes with the call. */
  readonly metadata: OutgoingMetadata;
  readonly ended: (status: Status) => void;
}

/** Runs a unary call that is followed, with what has to go with it. */
export async function traced<Result>(
  trace: OutgoingTrace | undefined,
  options: CallOptions,
  call: (options: CallOptions) => Promise<Result>,
): Promise<Result> {
  if (trace === undefined) return await call(options);
  try {
    const result = await call(withTrace(options, trace));
    trace.ended(Status.Ok);
    return result;
  } catch (error) {
    trace.ended(statusOf(error));
    throw error;
  }
}

/** The options of a call with what has to go with it. */
export function withTrace(options: CallOptions, trace: OutgoingTrace | undefined): CallOptions {
  return trace === undefined ? options : { ...options, metadata: { ...options.metadata, ...trace.metadata } };
}

/** Tells both that a call has ended. */
export function endOf(ended: CallEnded | undefined, trace: OutgoingTrace | undefined): CallEnded | undefined {
  if (trace === undefined) return ended;
  return (status, elapsedMs) => {
    trace.ended(status);
    ended?.(status, elapsedMs);
  };
}
