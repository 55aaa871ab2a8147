import type { Metrics } from './metrics.ts';
import type { SeriesId } from './registry.ts';
import type { MetricKind, Series } from './series.ts';

/** Puts what is measured into packets of one protocol. */
export interface MetricWriter {
  counter(id: SeriesId<MetricKind>, added: number): void;
  gauge(id: SeriesId<MetricKind>, value: number): void;
  /** @param value in milliseconds */
  sample(id: SeriesId<MetricKind>, value: number): void;
  /** Sends what is left. */
  flush(): void;
}

const INTERVAL_MS = 1_000;
/** Gauges that stay as they are are told so often nevertheless: who receives them may have lost them. */
const EVERY_GAUGE_TICKS = 10;

interface Watched {
  readonly id: SeriesId<MetricKind>;
  readonly series: Series;
  last: number | undefined;
}

/** Pushes metrics every second, to whoever collects them: counters by what was added since, samples one by one. */
export class PushSink implements Disposable {
  readonly #metrics: Metrics;
  readonly #writer: MetricWriter;
  readonly #watched: Watched[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #unwatch: () => void;
  #ticks = 0;

  constructor(metrics: Metrics, writer: MetricWriter) {
    this.#metrics = metrics;
    this.#writer = writer;
    this.#unwatch = metrics.watch((id, series) => this.#add(id, series));
    this.#timer = setInterval(() => void this.push(), INTERVAL_MS);
    this.#timer.unref();
  }

  async push(): Promise<void> {
    await this.#metrics.prepare().catch(() => {}); // whoever measures says what failed
    const withEveryGauge = this.#ticks++ % EVERY_GAUGE_TICKS === 0;
    for (const watched of this.#watched) this.#tell(watched, withEveryGauge);
    this.#writer.flush();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#unwatch();
    for (const { series } of this.#watched) if (series.kind === 'histogram') series.listener = undefined;
    for (const watched of this.#watched) this.#tell(watched, false);
    this.#writer.flush();
  }

  #add(id: SeriesId<MetricKind>, series: Series): void {
    if (series.kind === 'histogram') {
      const before = series.listener;
      series.listener = (value) => {
        before?.(value);
        this.#writer.sample(id, value);
      };
    }
    this.#watched.push({ id, series, last: undefined });
  }

  #tell(watched: Watched, withEveryGauge: boolean): void {
    const { id, series, last } = watched;
    if (series.kind === 'histogram') return;
    const { value } = series;
    if (value === undefined) return;
    if (series.kind === 'counter') {
      const added = value - (last ?? 0);
      if (added > 0) this.#writer.counter(id, added);
    } else if (value !== last || withEveryGauge) {
      this.#writer.gauge(id, value);
    }
    watched.last = value;
  }
}
