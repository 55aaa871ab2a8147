import type { Logger } from '../log/logger.ts';
import { isLabelName, type Label, toSpireLabel } from './label.ts';
import type { Metrics } from './metrics.ts';
import type { Counter } from './series.ts';
import { MAX_LABEL_TEXT, SeriesBudget } from './series-budget.ts';

const MAX_KEY_PARTS = 16;
const MAX_KEY_CHARACTERS = 160;
const MAX_LABELS = 16;
/** Of a name that goes into the log. */
const MAX_LOGGED_CHARACTERS = 100;

export interface GuestMetricsOptions {
  readonly metrics: Metrics;
  /** What says whose they are; the guest cannot say otherwise. */
  readonly labels: readonly Label[];
  /** Counts what is not taken. */
  readonly dropped: Counter;
  /** Already says which plugin it is for. */
  readonly log: Logger;
}

/**
 * What a plugin measures of itself: under its own keys, with its own labels, and never more than fits into its budget.
 * What is too much or makes no sense is dropped and counted, and each reason is logged once: a plugin is not told, as
 * with SPIRE.
 */
export class GuestMetrics {
  readonly #options: GuestMetricsOptions;
  readonly #ownNames: ReadonlySet<string>;
  readonly #budget = new SeriesBudget((reason, name) => this.#drop(reason, name));
  readonly #logged = new Set<string>();

  constructor(options: GuestMetricsOptions) {
    this.#options = options;
    this.#ownNames = new Set(options.labels.map(({ name }) => name));
  }

  increment(key: readonly string[], amount: number, labels: readonly Label[]): void {
    if (!(amount >= 0 && amount < Number.POSITIVE_INFINITY)) this.#drop('a counter that does not grow', key.join('.'));
    else this.#series('counter', key, labels)?.add(amount);
  }

  set(key: readonly string[], value: number, labels: readonly Label[]): void {
    this.#series('gauge', key, labels)?.set(value);
  }

  observe(key: readonly string[], value: number, labels: readonly Label[]): void {
    if (!Number.isFinite(value)) this.#drop('a sample that is no number', key.join('.'));
    else this.#series('histogram', key, labels)?.observe(value);
  }

  #series<Kind extends 'counter' | 'gauge' | 'histogram'>(
    kind: Kind,
    key: readonly string[],
    labels: readonly Label[],
  ) {
    const { metrics, labels: own } = this.#options;
    const name = key.join('.');
    const reason = reasonAgainst(key, name, labels);
    if (reason !== undefined) {
      this.#drop(reason, name);
      return undefined;
    }
    const theirs = labels.map(toSpireLabel);
    if (!theirs.every((label) => isLabelName(label.name))) {
      this.#drop('a label with a name that Prometheus does not take', name);
      return undefined;
    }
    const kept = theirs.filter((label) => !this.#ownNames.has(label.name));
    return metrics.guest(kind, key, [...kept, ...own], this.#budget);
  }

  #drop(reason: string, name: string): void {
    const { dropped, log } = this.#options;
    dropped.add(1);
    if (this.#logged.has(reason)) return; // there are a handful of reasons
    this.#logged.add(reason);
    log.warning('what a plugin measures is not kept from here on', {
      reason,
      metric: name.slice(0, MAX_LOGGED_CHARACTERS),
    });
  }
}

function reasonAgainst(key: readonly string[], name: string, labels: readonly Label[]): string | undefined {
  if (name === '') return 'a key that is empty';
  if (key.length > MAX_KEY_PARTS) return `a key of more than ${MAX_KEY_PARTS} parts`;
  if (name.length > MAX_KEY_CHARACTERS) return `a key of more than ${MAX_KEY_CHARACTERS} characters`;
  if (labels.length > MAX_LABELS) return `more than ${MAX_LABELS} labels`;
  const characters = labels.reduce((sum, { name: label, value }) => sum + label.length + value.length, 0);
  if (characters > MAX_LABEL_TEXT) return `labels of more than ${MAX_LABEL_TEXT} characters`; // before they are looked at
  return undefined;
}
