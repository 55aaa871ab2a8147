import type { Label } from './label.ts';
import type { MetricWriter } from './push-sink.ts';
import type { SeriesId } from './registry.ts';
import type { MetricKind } from './series.ts';
import { COMPACT, CompactWriter } from './thrift-compact.ts';

export interface M3WriterOptions {
  /** `spire_server` or `spire_agent`. */
  readonly service: string;
  readonly env: string;
  readonly send: (packet: Uint8Array) => void;
  readonly clock?: () => Date;
}

/** As M3's own reporter has it. */
const MAX_PACKET_BYTES = 1440;
/** For what is around the metrics of a packet. */
const ENVELOPE_BYTES = 200;
const COUNTER = 1;
const GAUGE = 2;
const TIMER = 3;
const NANOSECONDS_A_MILLISECOND = 1_000_000;

/** Batches of metrics for M3, by Thrift's compact protocol. The name is the key without the prefix, which is the tag `service`. */
export class M3Writer implements MetricWriter {
  readonly #options: M3WriterOptions;
  readonly #commonTags: readonly Label[];
  #metrics: Uint8Array[] = [];
  #bytes = 0;
  #sequence = 0;

  constructor(options: M3WriterOptions) {
    this.#options = options;
    this.#commonTags = [
      { name: 'service', value: options.service },
      { name: 'env', value: options.env },
    ];
  }

  counter(id: SeriesId<MetricKind>, added: number): void {
    this.#add(id, { type: COUNTER, count: Math.round(added), gauge: 0, timer: 0 });
  }

  gauge(id: SeriesId<MetricKind>, value: number): void {
    this.#add(id, { type: GAUGE, count: 0, gauge: value, timer: 0 });
  }

  sample(id: SeriesId<MetricKind>, value: number): void {
    this.#add(id, { type: TIMER, count: 0, gauge: 0, timer: Math.round(value * NANOSECONDS_A_MILLISECOND) });
  }

  flush(): void {
    if (this.#metrics.length === 0) return;
    const batch = new CompactWriter().oneWay('emitMetricBatchV2', this.#sequence++).field(COMPACT.struct);
    batch.field(COMPACT.list).list(this.#metrics.length, COMPACT.struct);
    for (const metric of this.#metrics) batch.raw(metric);
    writeTags(batch, this.#commonTags).stop().stop();
    this.#options.send(batch.bytes);
    this.#metrics = [];
    this.#bytes = 0;
  }

  #add(
    { key: [, ...name], labels }: SeriesId<MetricKind>,
    value: { type: number; count: number; gauge: number; timer: number },
  ): void {
    const now = this.#options.clock?.() ?? new Date();
    const writer = new CompactWriter().field(COMPACT.binary).text(name.join('_')).field(COMPACT.struct);
    writer.field(COMPACT.i32).i32(value.type).field(COMPACT.i64).i64(BigInt(value.count));
    writer.field(COMPACT.double).double(value.gauge).field(COMPACT.i64).i64(BigInt(value.timer)).stop();
    writer.field(COMPACT.i64).i64(BigInt(now.getTime()) * BigInt(NANOSECONDS_A_MILLISECOND));
    const { bytes } = writeTags(writer, labels).stop();
    if (this.#bytes + bytes.length > MAX_PACKET_BYTES - ENVELOPE_BYTES) this.flush();
    this.#metrics.push(bytes);
    this.#bytes += bytes.length;
  }
}

function writeTags(writer: CompactWriter, tags: readonly Label[]): CompactWriter {
  writer.field(COMPACT.list).list(tags.length, COMPACT.struct);
  for (const { name, value } of tags) writer.field(COMPACT.binary).text(name).field(COMPACT.binary).text(value).stop();
  return writer;
}
