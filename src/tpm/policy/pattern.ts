/** Whether one of some patterns is what a text says. */
export type PatternMatcher = (text: string) => boolean;

const matchers = new WeakMap<readonly string[], PatternMatcher>();

/**
 * Patterns for whole texts: `*` stands for any characters, also none, everything else for itself.
 *
 * Takes at most pattern length × text length steps a pattern: a star that has found its rest is never moved back behind a later
 * one. What has no star is looked up.
 */
export function patternMatcher(patterns: readonly string[]): PatternMatcher {
  const known = matchers.get(patterns) ?? toMatcher(patterns);
  matchers.set(patterns, known);
  return known;
}

export function matchesPattern(pattern: string, text: string): boolean {
  return matchesParts(pattern.split('*'), text);
}

function toMatcher(patterns: readonly string[]): PatternMatcher {
  const literals = new Set(patterns.filter((pattern) => !pattern.includes('*')));
  const starred = patterns.filter((pattern) => pattern.includes('*')).map((pattern) => pattern.split('*'));
  return (text) => literals.has(text) || starred.some((parts) => matchesParts(parts, text));
}

/** @param parts what stands before, between and behind the stars */
function matchesParts(parts: readonly string[], text: string): boolean {
  const [first = ''] = parts;
  const last = parts.at(-1) ?? '';
  if (parts.length === 1) return text === first;
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let position = first.length;
  for (let index = 1; index < parts.length - 1; index++) {
    const part = parts[index] ?? '';
    const found = text.indexOf(part, position);
    if (found < 0 || found + part.length > end) return false;
    position = found + part.length;
  }
  return true;
}
