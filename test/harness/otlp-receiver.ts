import { fileURLToPath } from 'node:url';
import { TestProcess } from './child-process.ts';
import { buildGo } from './go.ts';

const MODULE = fileURLToPath(new URL('../interop/otlp-receiver', import.meta.url));

/** A span as it was received. IDs are hexadecimal. */
export interface ReceivedSpan {
  readonly by: 'grpc' | 'http';
  /** `service.name` of its resource. */
  readonly service: string;
  readonly name: string;
  readonly kind: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: it has none. */
  readonly parentId: string;
  readonly isError: boolean;
  readonly nanos: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly resource: Readonly<Record<string, string>>;
}

/** An OTLP receiver of OpenTelemetry's Go codecs, which takes spans until it is disposed. */
export class OtlpReceiver implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  readonly grpcEndpoint: string;
  readonly httpEndpoint: string;
  readonly #process: TestProcess;

  private constructor(process: TestProcess, ports: { readonly grpc: number; readonly http: number }) {
    this.#process = process;
    this.grpcEndpoint = `http://127.0.0.1:${ports.grpc}`;
    this.httpEndpoint = `http://127.0.0.1:${ports.http}`;
    void this.#read();
  }

  static async start(): Promise<OtlpReceiver> {
    const receiver = await TestProcess.start(await buildGo(MODULE, 'receiver'), []);
    return new OtlpReceiver(receiver, JSON.parse((await receiver.readLine()) ?? '{}'));
  }

  /** Those of one method of one service, in the order of their coming. */
  of(service: string, method: string): readonly ReceivedSpan[] {
    return this.spans.filter((span) => span.service === service && span.name.endsWith(`/${method}`));
  }

  /** The spans that lead to `span` in its trace, it first and their root last. */
  wayTo(span: ReceivedSpan): readonly ReceivedSpan[] {
    const parent = this.spans.find(({ traceId, spanId }) => traceId === span.traceId && spanId === span.parentId);
    return [span, ...(parent === undefined ? [] : this.wayTo(parent))];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }

  async #read(): Promise<void> {
    for (let line = await this.#process.readLine(); line !== undefined; line = await this.#process.readLine()) {
      this.spans.push(JSON.parse(line));
    }
  }
}
