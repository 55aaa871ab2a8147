/** One line of numbers below a name and its labels: whoever counts often holds on to it. */
export type Series = Counter | Gauge | Histogram;
export type MetricKind = Series['kind'];

/** Only ever grows. */
export class Counter {
  readonly kind = 'counter';
  #value = 0;

  get value(): number {
    return this.#value;
  }

  add(amount: number): void {
    this.#value += amount;
  }

  /** For what is counted elsewhere: a total that is lower than the last is not taken. */
  advanceTo(total: number): void {
    if (total > this.#value) this.#value = total;
  }
}

export class Gauge {
  readonly kind = 'gauge';
  #value: number | undefined;

  /** Undefined: there is nothing to say at this moment. */
  get value(): number | undefined {
    return this.#value;
  }

  set(value: number | undefined): void {
    this.#value = value;
  }
}

/**
 * Upper bounds of the buckets. Nearly all that is observed are milliseconds: from a call into a plugin to one that waits
 * for a restart.
 */
export const BUCKET_BOUNDS = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const;

/** What SPIRE has as a summary: the same `_sum` and `_count`, and buckets, which can be added up over many programs. */
export class Histogram {
  readonly kind = 'histogram';
  /** Not cumulative; the last is for what is above every bound. */
  readonly #counts = new Float64Array(BUCKET_BOUNDS.length + 1);
  #sum = 0;
  /** Told of every observation, for who wants them one by one. */
  listener: ((value: number) => void) | undefined;

  get sum(): number {
    return this.#sum;
  }

  /** How many were observed up to each bound, and last how many at all. */
  get cumulativeCounts(): readonly number[] {
    let total = 0;
    return Array.from(this.#counts, (count) => {
      total += count;
      return total;
    });
  }

  observe(value: number): void {
    let bucket = 0;
    while (value > (BUCKET_BOUNDS[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
    this.listener?.(value);
  }
}
