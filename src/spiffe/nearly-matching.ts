import { formatSelector, type Selector } from './selector.ts';

/** Selectors that somebody has, for many comparisons. */
export function selectorSet(selectors: readonly Selector[]): ReadonlySet<string> {
  return new Set(selectors.map(formatSelector));
}

/** What an entry asks for that somebody does not have. */
export function missingSelectors(wanted: readonly Selector[], have: ReadonlySet<string>): readonly Selector[] {
  return wanted.filter((selector) => !have.has(formatSelector(selector)));
}

/** An entry and what somebody lacks for it. */
export interface ComparedSelectors {
  /** How many selectors the entry asks for. */
  readonly wanted: number;
  readonly missing: number;
}

/** Whether an entry matches, or is likely the one that was meant: one selector is missing, or not all are. */
export function isNearMatch({ wanted, missing }: ComparedSelectors): boolean {
  return missing === 1 || missing < wanted;
}

/** The nearest first: who lacks least, then who has most. */
export function byNearness(a: ComparedSelectors, b: ComparedSelectors): number {
  return a.missing - b.missing || b.wanted - b.missing - (a.wanted - a.missing);
}
