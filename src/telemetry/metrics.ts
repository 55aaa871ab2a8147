import { formatExposition } from './exposition.ts';
import type { Label } from './label.ts';
import type { MetricFilter } from './metric-filter.ts';
import { Registry, type SeriesId, type SeriesOf, type SeriesWatcher } from './registry.ts';
import { Counter, Gauge, Histogram, type MetricKind, type Series } from './series.ts';
import type { SeriesBudget } from './series-budget.ts';

export interface MetricsOptions {
  /** First part of every key, such as `spire_server`. */
  readonly prefix: string;
  /** On every series. */
  readonly labels: readonly Label[];
  readonly filter: MetricFilter;
}

/** Sets what is only known when it is asked for. */
export type Collector = () => void | Promise<void>;

/**
 * What a program measures, by SPIRE's keys: `['rpc', 'svid', 'v1']` is `spire_server_rpc_svid_v1`. A metric that the
 * filter blocks can be counted like any other; nobody sees it.
 */
export class Metrics {
  readonly #options: MetricsOptions;
  readonly #registry = new Registry();
  readonly #collectors: Collector[] = [];
  #rendering: Promise<string> | undefined;

  constructor(options: MetricsOptions) {
    this.#options = options;
  }

  counter(key: readonly string[], labels: readonly Label[] = []): Counter {
    const id = this.#idOf('counter', key, labels);
    return id === undefined ? new Counter() : this.#registry.own(id);
  }

  gauge(key: readonly string[], labels: readonly Label[] = []): Gauge {
    const id = this.#idOf('gauge', key, labels);
    return id === undefined ? new Gauge() : this.#registry.own(id);
  }

  histogram(key: readonly string[], labels: readonly Label[] = []): Histogram {
    const id = this.#idOf('histogram', key, labels);
    return id === undefined ? new Histogram() : this.#registry.own(id);
  }

  /** One of a plugin's, whose budget is told where it may not have it. @returns undefined where nothing comes of it. */
  guest<Kind extends MetricKind>(
    kind: Kind,
    key: readonly string[],
    labels: readonly Label[],
    budget: SeriesBudget,
  ): SeriesOf[Kind] | undefined {
    const id = this.#idOf(kind, key, labels);
    return id && this.#registry.guest(id, budget);
  }

  /** Runs before each {@link render}. */
  collect(collector: Collector): void {
    this.#collectors.push(collector);
  }

  /** Calls `watcher` with every series that is there and that comes. @returns what ends it. */
  watch(watcher: SeriesWatcher): () => void {
    return this.#registry.watch(watcher);
  }

  /** Has measured what is only known when it is asked for. */
  async prepare(): Promise<void> {
    await Promise.all(this.#collectors.map(async (collector) => await collector()));
  }

  /** Every series as it is now, in the order of the names. */
  async read(): Promise<readonly { readonly name: string; readonly labels: string; readonly series: Series }[]> {
    await this.prepare();
    return this.#registry.families.flatMap(({ name, series }) =>
      [...series].map(([labels, one]) => ({ name, labels, series: one })),
    );
  }

  /** Everything, in Prometheus' text format. Whoever asks while it is being written gets the same. */
  async render(): Promise<string> {
    this.#rendering ??= this.#render().finally(() => {
      this.#rendering = undefined;
    });
    return await this.#rendering;
  }

  async #render(): Promise<string> {
    await this.prepare();
    return formatExposition(this.#registry.families);
  }

  /** @returns undefined where nobody wants it. */
  #idOf<Kind extends MetricKind>(
    kind: Kind,
    key: readonly string[],
    labels: readonly Label[],
  ): SeriesId<Kind> | undefined {
    const { prefix, filter, labels: common } = this.#options;
    const whole = [prefix, ...key];
    if (!filter.allows(whole.join('.'))) return undefined;
    return {
      kind,
      name: toName(whole),
      key: whole,
      help: key.join('.'),
      labels: filter.labels([...labels, ...common]),
    };
  }
}

/** @see https://prometheus.io/docs/concepts/data_model/ */
function toName(key: readonly string[]): string {
  return key
    .join('_')
    .replace(/[^A-Za-z0-9_:]/g, '_')
    .replace(/^(?=[0-9])/, '_');
}
