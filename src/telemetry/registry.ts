import { formatLabels, type Label } from './label.ts';
import { Counter, Gauge, Histogram, type MetricKind, type Series } from './series.ts';
import type { SeriesBudget } from './series-budget.ts';

/** All series of one name, which are of one kind. */
export interface Family {
  readonly name: string;
  readonly kind: MetricKind;
  readonly help: string;
  /** Of the program itself, not of a plugin. */
  readonly isOwn: boolean;
  /** By their labels, as the text format has them. */
  readonly series: Map<string, Series>;
}

export interface SeriesId<Kind extends MetricKind> {
  readonly kind: Kind;
  /** As the text format has it. */
  readonly name: string;
  readonly help: string;
  /** Its parts, prefix first. */
  readonly key: readonly string[];
  readonly labels: readonly Label[];
}

/** Told of every series, once it is there. */
export type SeriesWatcher = (id: SeriesId<MetricKind>, series: Series) => void;

export interface SeriesOf {
  readonly counter: Counter;
  readonly gauge: Gauge;
  readonly histogram: Histogram;
}

/** How many lines a series is in the text format. */
export const LINES: Readonly<Record<MetricKind, number>> = { counter: 1, gauge: 1, histogram: 18 };

/** Everything that is measured, by name and labels. A name has one kind, whoever comes first. */
export class Registry {
  readonly #families = new Map<string, Family>();
  /** Every name that a line can begin with, and whose it is: a counter `x_count` beside a histogram `x` breaks a scrape. */
  readonly #lineNames = new Map<string, Family>();

  readonly #ids = new Map<Series, SeriesId<MetricKind>>();
  readonly #watchers = new Set<SeriesWatcher>();

  /** Calls `watcher` with what is there and with what comes. @returns what ends it. */
  watch(watcher: SeriesWatcher): () => void {
    for (const [series, id] of this.#ids) watcher(id, series);
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** In the order of their names. */
  get families(): readonly Family[] {
    return [...this.#families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** One of the program's own. A plugin that took the name first loses it. */
  own<Kind extends MetricKind>(id: SeriesId<Kind>): SeriesOf[Kind] {
    for (const name of lineNames(id)) {
      const family = this.#lineNames.get(name);
      if (family !== undefined && !family.isOwn) this.#remove(family);
    }
    const series = this.#find(id, true);
    if (series === undefined) throw new TypeError(`two kinds of metric are named ${id.name}`);
    return series;
  }

  /** One of a plugin's; undefined where it may not have that one, which its budget is told. */
  guest<Kind extends MetricKind>(id: SeriesId<Kind>, budget: SeriesBudget): SeriesOf[Kind] | undefined {
    return this.#find(id, false, budget);
  }

  #find<Kind extends MetricKind>(
    id: SeriesId<Kind>,
    isOwn: boolean,
    budget?: SeriesBudget,
  ): SeriesOf[Kind] | undefined {
    const known = this.#families.get(id.name);
    const isFree = known === undefined && lineNames(id).every((name) => !this.#lineNames.has(name));
    if (!isFree && (known === undefined || known.kind !== id.kind || known.isOwn !== isOwn)) {
      budget?.refuse('the name belongs to another metric', id.name);
      return undefined;
    }
    const labels = formatLabels(id.labels);
    const found = known?.series.get(labels);
    if (found !== undefined) return found as SeriesOf[Kind]; // a family has one kind
    if (budget?.admit(id.name, labels, LINES[id.kind]) === false) return undefined;
    const family = known ?? this.#add(id, isOwn);
    const created = createSeries(id.kind);
    family.series.set(labels, created);
    this.#ids.set(created, id);
    for (const watcher of this.#watchers) watcher(id, created);
    return created as SeriesOf[Kind]; // made of this kind
  }

  #add({ name, kind, help }: SeriesId<MetricKind>, isOwn: boolean): Family {
    const family: Family = { name, kind, help, isOwn, series: new Map() };
    this.#families.set(name, family);
    for (const line of lineNames(family)) this.#lineNames.set(line, family);
    return family;
  }

  #remove(family: Family): void {
    this.#families.delete(family.name);
    for (const series of family.series.values()) this.#ids.delete(series);
    for (const line of lineNames(family)) this.#lineNames.delete(line);
  }
}

function createSeries(kind: MetricKind): Series {
  switch (kind) {
    case 'counter':
      return new Counter();
    case 'gauge':
      return new Gauge();
    case 'histogram':
      return new Histogram();
  }
}

function lineNames({ name, kind }: { readonly name: string; readonly kind: MetricKind }): readonly string[] {
  return kind === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}
