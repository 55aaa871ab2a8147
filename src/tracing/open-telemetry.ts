import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { CallContext } from '../rpc/call.ts';
import type { CallTracer, OutgoingTrace } from '../rpc/call-tracer.ts';
import type { Peer } from '../rpc/peer.ts';
import { findTraceParent, formatTraceParent, TRACE_PARENT_KEY } from '../rpc/trace-parent.ts';
import { Status } from '../spiffe/status.ts';
import type { GuestSpan } from './guest-span.ts';
import { createExporter } from './otlp-exporter.ts';
import { pluginResource, programResource } from './resources.ts';
import { toReadableSpan } from './to-readable-span.ts';
import type { TracedPlugin, Tracing, TracingOptions } from './tracing.ts';

/** Traces of callers that nobody knows which are followed because they ask for it, a second. */
const STRANGERS = { perSecond: 10, burst: 100 };
/** Of what is left, when the program ends. */
const FLUSH_MS = 3_000;
const EXPORT_MS = 5_000;
/** Asked every few seconds by whoever watches the program. */
const HEALTH = '/grpc.health.v1.';

export function startTracing(options: TracingOptions): Tracing {
  return new OpenTelemetryTracing(options);
}

/** Traces with OpenTelemetry's SDK; only which call belongs to which trace is kept here. */
class OpenTelemetryTracing implements Tracing, CallTracer {
  readonly #program: TracingOptions['program'];
  readonly #version: string;
  readonly #processor: BatchSpanProcessor;
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #active = new AsyncLocalStorage<Context>();
  #strangers = { tokens: STRANGERS.burst, at: performance.now() };
  #disposal: Promise<void> | undefined;

  constructor(options: TracingOptions) {
    const { config, program, version } = options;
    this.#program = program;
    this.#version = version;
    this.#processor = new BatchSpanProcessor({
      exporter: createExporter(options),
      exportTimeoutMillis: EXPORT_MS,
      scheduledDelayMillis: 1_000,
    });
    this.#provider = new TracerProvider({
      resource: programResource(options),
      spanProcessors: [this.#processor],
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(config.samplingRatio) }),
    });
    this.#tracer = this.#provider.getTracer('assayer', version);
  }

  get calls(): CallTracer {
    return this;
  }

  async incoming(context: CallContext, serve: () => Promise<Status>): Promise<void> {
    if (context.method.startsWith(HEALTH)) {
      await serve();
      return;
    }
    const parent = this.#parentOf(context);
    const span = this.#tracer.startSpan(nameOf(context.method), spanOptions(context.method, SpanKind.SERVER), parent);
    await this.#active.run(trace.setSpan(parent, span), async () => {
      const status = await serve();
      end(span, status, SERVER_FAULTS.has(status));
    });
  }

  outgoing(path: string): OutgoingTrace {
    const parent = this.#active.getStore() ?? ROOT_CONTEXT;
    const span = this.#tracer.startSpan(nameOf(path), spanOptions(path, SpanKind.CLIENT), parent);
    const { traceId, spanId, traceFlags } = span.spanContext();
    const isSampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
    return {
      metadata: { [TRACE_PARENT_KEY]: formatTraceParent({ traceId, spanId, isSampled }) },
      ended: (status) => end(span, status, status !== Status.Ok),
    };
  }

  async step<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const parent = this.#active.getStore();
    if (parent === undefined || trace.getSpan(parent)?.isRecording() !== true) return await work();
    const span = this.#tracer.startSpan(name, { kind: SpanKind.INTERNAL }, parent);
    try {
      return await this.#active.run(trace.setSpan(parent, span), work);
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  }

  take(span: GuestSpan, plugin: TracedPlugin): void {
    if (this.#disposal !== undefined) return;
    const resource = pluginResource(this.#program, plugin, this.#version);
    this.#processor.onEnd(
      toReadableSpan(span, { resource, version: this.#version, isError: SERVER_FAULTS.has(span.status) }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose();
    await this.#disposal;
  }

  async #dispose(): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, FLUSH_MS);
    await Promise.race([this.#provider.shutdown().catch(() => {}), late.promise]);
    clearTimeout(timer);
  }

  /** Of a stranger that asks for more than its share, a trace of our own begins: its cost is not the stranger's to decide. */
  #parentOf({ metadata, peer }: CallContext): Context {
    const parent = findTraceParent(metadata);
    if (parent === undefined || (parent.isSampled && isStranger(peer) && !this.#spend())) return ROOT_CONTEXT;
    const { traceId, spanId, isSampled } = parent;
    const traceFlags = isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
    return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
  }

  #spend(): boolean {
    const now = performance.now();
    const { tokens, at } = this.#strangers;
    const left = Math.min(STRANGERS.burst, tokens + ((now - at) / 1_000) * STRANGERS.perSecond);
    this.#strangers = { tokens: Math.max(0, left - 1), at: now };
    return left >= 1;
  }
}

/** Whoever has no X.509-SVID, or is another user of this machine. */
function isStranger(peer: Peer): boolean {
  switch (peer.kind) {
    case 'tls':
      return peer.spiffeId === undefined;
    case 'unix':
      return peer.uid !== 0 && peer.uid !== process.geteuid?.();
    case 'plugin':
      return false;
  }
}

/** Faults of whoever answers, as OpenTelemetry's conventions for gRPC have them; of whoever calls, every failure is one. */
const SERVER_FAULTS: ReadonlySet<Status> = new Set([
  Status.Unknown,
  Status.DeadlineExceeded,
  Status.Unimplemented,
  Status.Internal,
  Status.Unavailable,
  Status.DataLoss,
]);

function nameOf(path: string): string {
  return path.slice(1);
}

/** Nothing of what is said: IDs of agents can be join tokens, messages of errors can quote selectors. */
function spanOptions(path: string, kind: SpanKind) {
  const [, service = '', method = ''] = path.split('/');
  return { kind, attributes: { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method } };
}

function end(span: Span, status: Status, isError: boolean): void {
  span.setAttribute('rpc.grpc.status_code', status);
  if (isError) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
