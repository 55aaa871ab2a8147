import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import type { Span } from '../gen/assayer/hostservice/traces/v1/traces.ts';
import type { CallContext } from '../rpc/call.ts';
import type { CallTracer, OutgoingTrace } from '../rpc/call-tracer.ts';
import { findTraceParent, formatTraceParent, TRACE_PARENT_KEY, type TraceParent } from '../rpc/trace-parent.ts';
import type { Status } from '../spiffe/status.ts';

/** Takes spans to the host; undefined where the host does not trace. */
export type FindReport = () => ((spans: Span[]) => Promise<unknown>) | undefined;

/** What one report takes, and what waits for it at most: more is dropped. */
const SPANS_A_REPORT = 64;
const MAX_WAITING = 256;
const REPORT_EVERY_MS = 500;

/**
 * Continues the host's traces in the plugin: what it did goes back to the host, which knows where traces go. A call without
 * a sampled `traceparent`, and a host that does not offer `Traces`, cost nothing.
 */
export class PluginTracer implements CallTracer {
  readonly #active = new AsyncLocalStorage<TraceParent>();
  readonly #findReport: FindReport;
  #waiting: Span[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(findReport: FindReport) {
    this.#findReport = findReport;
  }

  async incoming({ metadata, method }: CallContext, serve: () => Promise<Status>): Promise<void> {
    const parent = this.#findReport() === undefined ? undefined : findTraceParent(metadata);
    if (parent?.isSampled !== true) {
      await serve();
      return;
    }
    await this.#span(parent, method.slice(1), serve);
  }

  /** The host continues the trace in what it does for the plugin. */
  outgoing(): OutgoingTrace | undefined {
    const active = this.#active.getStore();
    return active && { metadata: { [TRACE_PARENT_KEY]: formatTraceParent(active) }, ended: () => {} };
  }

  /** Sends what waits: there may be no later. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const report = this.#findReport();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let first = 0; report !== undefined && first < waiting.length; first += SPANS_A_REPORT) {
      await report(waiting.slice(first, first + SPANS_A_REPORT)).catch(() => {}); // a lost trace is no failure of a call
    }
  }

  async #span(parent: TraceParent, name: string, work: () => Promise<Status>): Promise<void> {
    const spanId = randomBytes(8);
    const startedAt = unixNanoseconds();
    const own = { ...parent, spanId: spanId.toString('hex') };
    const status = await this.#active.run(own, work);
    if (this.#waiting.length >= MAX_WAITING) return;
    this.#waiting.push({
      traceId: Buffer.from(parent.traceId, 'hex'),
      spanId,
      parentSpanId: Buffer.from(parent.spanId, 'hex'),
      name,
      startUnixNanoseconds: startedAt,
      endUnixNanoseconds: unixNanoseconds(),
      status,
    });
    this.#timer ??= setTimeout(() => void this.flush(), REPORT_EVERY_MS).unref();
  }
}

function unixNanoseconds(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1_000)) * 1_000n;
}
