import type { FederatesWithMatch, SelectorMatch } from '../gen/spire/api/types/types.ts';
import { parseSelector } from '../spiffe/selector.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';
import { oneOf } from './flag-kinds.ts';

const MATCH = { exact: 0, subset: 1, superset: 2, any: 3 } as const;

/** How a set in a filter is compared with the set that something has. */
export function matchFlag(what: string) {
  return oneOf(`How ${what} are compared: those found have exactly these, these at least, at most or any of them`, [
    'superset',
    'exact',
    'any',
    'subset',
  ]);
}

/** Undefined, which matches all, where there are none. */
export function selectorMatch(selectors: readonly string[], match: keyof typeof MATCH): SelectorMatch | undefined {
  if (selectors.length === 0) return undefined;
  return { selectors: selectors.map(parseSelector), match: MATCH[match] };
}

export function federatesWithMatch(
  names: readonly string[],
  match: keyof typeof MATCH,
): FederatesWithMatch | undefined {
  if (names.length === 0) return undefined;
  return { trustDomains: names.map((name) => parseTrustDomain(name)), match: MATCH[match] };
}
