import type { CallMetadata } from './metadata.ts';

/** Where a call stands in its trace: the one field of W3C Trace Context that travels. */
export interface TraceParent {
  /** 32 lower-case hexadecimal digits, not all 0. */
  readonly traceId: string;
  /** Of the span that calls: 16 of them, not all 0. */
  readonly spanId: string;
  /** Whether whoever calls keeps its spans of the trace. */
  readonly isSampled: boolean;
}

export const TRACE_PARENT_KEY = 'traceparent';

/** Version 00 has 55 characters; later ones may have more, which nobody reads. */
const MAX_CHARACTERS = 128;
const PATTERN = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-|$)/;
const VERSION_00_CHARACTERS = 55;
const SAMPLED = 1;

/**
 * What a peer sent, where it is well formed and there once; `tracestate` and `baggage` are never read.
 *
 * @see https://www.w3.org/TR/trace-context/#traceparent-header
 */
export function findTraceParent(metadata: CallMetadata): TraceParent | undefined {
  const [text, ...more] = metadata.getAllText(TRACE_PARENT_KEY);
  return text === undefined || more.length > 0 ? undefined : parseTraceParent(text);
}

/** @returns undefined for what is not one */
export function parseTraceParent(text: string): TraceParent | undefined {
  if (text.length > MAX_CHARACTERS) return undefined;
  const [, traceId, spanId, flags] = PATTERN.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (text.startsWith('00') && text.length !== VERSION_00_CHARACTERS) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

export function formatTraceParent({ traceId, spanId, isSampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}
