import type { Label } from './label.ts';

export interface MetricFilterOptions {
  /** Of keys with their parts joined by `.`, the program's prefix first. */
  readonly allowedPrefixes: readonly string[];
  readonly blockedPrefixes: readonly string[];
  /** None: all that are not blocked. */
  readonly allowedLabels: readonly string[];
  readonly blockedLabels: readonly string[];
}

/** Which metrics and which of their labels an operator wants; the longest prefix decides, of two alike the blocking one. */
export class MetricFilter {
  readonly #prefixes: readonly { readonly prefix: string; readonly isAllowed: boolean }[];
  readonly #allowedLabels: ReadonlySet<string>;
  readonly #blockedLabels: ReadonlySet<string>;

  constructor({ allowedPrefixes, blockedPrefixes, allowedLabels, blockedLabels }: MetricFilterOptions) {
    this.#prefixes = [
      ...blockedPrefixes.map((prefix) => ({ prefix, isAllowed: false })),
      ...allowedPrefixes.map((prefix) => ({ prefix, isAllowed: true })),
    ].sort((a, b) => b.prefix.length - a.prefix.length); // stable
    this.#allowedLabels = new Set(allowedLabels);
    this.#blockedLabels = new Set(blockedLabels);
  }

  /** What no prefix speaks of is allowed, as with SPIRE. */
  allows(key: string): boolean {
    return this.#prefixes.find(({ prefix }) => key.startsWith(prefix))?.isAllowed ?? true;
  }

  labels(labels: readonly Label[]): readonly Label[] {
    return labels.filter(
      ({ name }) => !this.#blockedLabels.has(name) && (this.#allowedLabels.size === 0 || this.#allowedLabels.has(name)),
    );
  }
}
