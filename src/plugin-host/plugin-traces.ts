import type { Span } from '../gen/assayer/hostservice/traces/v1/traces.ts';
import { TracesDefinition } from '../gen/assayer/hostservice/traces/v1/traces.ts';
import type { CallContext } from '../rpc/call.ts';
import type { CallTracer, OutgoingTrace } from '../rpc/call-tracer.ts';
import { type BoundService, bindService } from '../rpc/service.ts';
import { findTraceParent, parseTraceParent, TRACE_PARENT_KEY } from '../rpc/trace-parent.ts';
import { Status } from '../spiffe/status.ts';
import type { GuestSpan } from '../tracing/guest-span.ts';
import type { TracedPlugin, Tracing } from '../tracing/tracing.ts';
import { Allowance } from './allowance.ts';

/** Traces that a plugin was called in and may still tell of. */
const MAX_TRACES = 1_000;
const SPANS = { perSecond: 200, burst: 1_000 };
const MAX_SPANS_A_REPORT = 64;
const MAX_NAME_CHARACTERS = 128;
/** A call that lasts longer is not told of; nothing ends later than now. */
const MAX_AGE_NANOSECONDS = 24n * 3_600n * 1_000_000_000n;

/**
 * The traces of one plugin, through all of its processes: the host's calls take a trace into it, and what it did comes back
 * by the host service `Traces`. It has a say in no trace that it was not called in.
 */
export class PluginTraces implements CallTracer {
  readonly #tracing: Tracing;
  readonly #plugin: TracedPlugin;
  /** In the order of the last call. */
  readonly #traces = new Set<string>();
  readonly #allowance = new Allowance(SPANS);

  constructor(tracing: Tracing, { type, name }: TracedPlugin) {
    this.#tracing = tracing;
    this.#plugin = { type, name };
  }

  outgoing(path: string): OutgoingTrace | undefined {
    const trace = this.#tracing.calls.outgoing(path);
    const text = trace?.metadata[TRACE_PARENT_KEY];
    const parent = typeof text === 'string' ? parseTraceParent(text) : undefined;
    if (parent?.isSampled === true) this.#remember(parent.traceId);
    return trace;
  }

  /** Calls of host services: those of a trace that the plugin was called in. */
  async incoming(context: CallContext, serve: () => Promise<Status>): Promise<void> {
    const parent = findTraceParent(context.metadata);
    if (parent !== undefined && this.#traces.has(parent.traceId)) await this.#tracing.calls.incoming(context, serve);
    else await serve();
  }

  /** What the plugin is offered. */
  readonly service: BoundService = bindService(TracesDefinition, {
    report: async ({ spans }) => {
      for (const span of spans.slice(0, MAX_SPANS_A_REPORT)) this.#take(span);
      return {};
    },
  });

  #take(span: Span): void {
    const checked = checkSpan(span, BigInt(Date.now()) * 1_000_000n);
    if (checked === undefined || !this.#traces.has(checked.traceId) || !this.#allowance.trySpend(1)) return;
    this.#tracing.take(checked, this.#plugin);
  }

  #remember(traceId: string): void {
    this.#traces.delete(traceId);
    this.#traces.add(traceId);
    const oldest = this.#traces.values().next();
    if (this.#traces.size > MAX_TRACES && oldest.done === false) this.#traces.delete(oldest.value);
  }
}

/** @returns undefined for what a plugin of ours would not say */
function checkSpan(span: Span, now: bigint): GuestSpan | undefined {
  const [traceId, spanId, parentSpanId] = [span.traceId, span.spanId, span.parentSpanId].map((id) =>
    Buffer.from(id).toString('hex'),
  );
  if (traceId?.length !== 32 || spanId?.length !== 16 || parentSpanId?.length !== 16) return undefined;
  if (/^0+$/.test(spanId) || spanId === parentSpanId) return undefined;
  const { startUnixNanoseconds: start, endUnixNanoseconds: end, status } = span;
  if (start < now - MAX_AGE_NANOSECONDS || start > end) return undefined;
  return {
    traceId,
    spanId,
    parentSpanId,
    name: span.name.slice(0, MAX_NAME_CHARACTERS),
    startUnixNanoseconds: start > now ? now : start,
    endUnixNanoseconds: end > now ? now : end,
    status: status <= Status.Unauthenticated ? (status as Status) : Status.Unknown, // numbers without gaps
  };
}
