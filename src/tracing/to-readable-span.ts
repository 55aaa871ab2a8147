import { type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import type { GuestSpan } from './guest-span.ts';

const NANOSECONDS = 1_000_000_000n;

/** As OpenTelemetry's exporters want one. */
export function toReadableSpan(
  span: GuestSpan,
  { resource, version, isError }: { readonly resource: Resource; readonly version: string; readonly isError: boolean },
): ReadableSpan {
  const { traceId, name, status } = span;
  const context = (spanId: string) => ({ traceId, spanId, traceFlags: TraceFlags.SAMPLED });
  return {
    name,
    kind: SpanKind.SERVER,
    spanContext: () => context(span.spanId),
    parentSpanContext: context(span.parentSpanId),
    startTime: toHrTime(span.startUnixNanoseconds),
    endTime: toHrTime(span.endUnixNanoseconds),
    duration: toHrTime(span.endUnixNanoseconds - span.startUnixNanoseconds),
    status: { code: isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
    attributes: { 'rpc.system': 'grpc', 'rpc.grpc.status_code': status },
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: { name: 'assayer-plugin-sdk', version },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function toHrTime(nanoseconds: bigint): HrTime {
  return [Number(nanoseconds / NANOSECONDS), Number(nanoseconds % NANOSECONDS)];
}
