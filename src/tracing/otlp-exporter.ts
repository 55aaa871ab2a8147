import { readFileSync } from 'node:fs';
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as HttpExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { TracesConfig } from '../config/traces-config.ts';
import type { Logger } from '../log/logger.ts';
import { trustingCredentials } from '../rpc/trusting-credentials.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import type { TracingOptions } from './tracing.ts';

const TIMEOUT_MS = 5_000;
/** Of one collector that does not take what it is sent. */
const MS_BETWEEN_WARNINGS = 60_000;

/** Sends spans to the configured collector; what that does not take is lost, and told in the log now and then. */
export function createExporter({ config, log }: TracingOptions): SpanExporter {
  return new TellingExporter(config.protocol === 'grpc' ? overGrpc(config) : overHttp(config), config.endpoint, log);
}

function overHttp({ endpoint, caFile }: TracesConfig): SpanExporter {
  return new HttpExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: TIMEOUT_MS,
    ...(caFile === undefined ? {} : { httpAgentOptions: { keepAlive: true, ca: readAuthorities(caFile) } }),
  });
}

function overGrpc({ endpoint, caFile }: TracesConfig): SpanExporter {
  return new GrpcExporter({
    url: endpoint,
    timeoutMillis: TIMEOUT_MS,
    ...(caFile === undefined ? {} : { credentials: trustingCredentials(readAuthorities(caFile)) }),
  });
}

function readAuthorities(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new SpiffeError('CONFIG_INVALID', `telemetry.Traces.ca_file cannot be read: ${messageOf(cause)}`, { cause });
  }
}

type Exported = Parameters<SpanExporter['export']>[1];

class TellingExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #endpoint: string;
  readonly #log: Logger;
  #lost = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(exporter: SpanExporter, endpoint: string, log: Logger) {
    this.#exporter = exporter;
    this.#endpoint = endpoint;
    this.#log = log;
  }

  export(spans: ReadableSpan[], done: Exported): void {
    this.#exporter.export(spans, (result) => {
      if (result.code !== 0) this.#tell(spans.length, result.error);
      done(result);
    });
  }

  async shutdown(): Promise<void> {
    await this.#exporter.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }

  #tell(lost: number, error: Error | undefined): void {
    this.#lost += lost;
    const now = performance.now();
    if (now - this.#toldAt < MS_BETWEEN_WARNINGS) return;
    const reason = (error?.message ?? 'no reason given').slice(0, 500);
    this.#log.warning('the collector does not take traces', { endpoint: this.#endpoint, spans: this.#lost, reason });
    this.#toldAt = now;
    this.#lost = 0;
  }
}
