import type { Status } from '../spiffe/status.ts';

/** What a plugin did for one call, checked: its times are those of this machine. */
export interface GuestSpan {
  /** Hexadecimal, as in a traceparent. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly startUnixNanoseconds: bigint;
  readonly endUnixNanoseconds: bigint;
  readonly status: Status;
}
