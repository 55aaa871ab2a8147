import type { TracesConfig } from '../config/traces-config.ts';
import type { Logger } from '../log/logger.ts';
import type { CallTracer } from '../rpc/call-tracer.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { GuestSpan } from './guest-span.ts';

/** Follows what a program does, and sends it to a collector. Disposing sends what is left. */
export interface Tracing extends AsyncDisposable {
  /** For the calls of the program's own APIs, and those to other programs. */
  readonly calls: CallTracer;
  /** Follows a piece of work, where it belongs to a trace. */
  step<Result>(name: string, work: () => Promise<Result>): Promise<Result>;
  /** Takes a span that a plugin ended. */
  take(span: GuestSpan, plugin: TracedPlugin): void;
}

/** Type and name, as they are configured. */
export interface TracedPlugin {
  readonly type: string;
  readonly name: string;
}

export interface TracingOptions {
  readonly config: TracesConfig;
  readonly program: 'server' | 'agent';
  readonly trustDomain: TrustDomain;
  /** Of the program. */
  readonly version: string;
  readonly log: Logger;
}
