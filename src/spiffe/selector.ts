import { createHash } from 'node:crypto';
import { SpiffeError } from './error.ts';
import { quoteText } from './quote-text.ts';

/** A property that an attestor found, such as type `unix` and value `uid:0`. */
export interface Selector {
  readonly type: string;
  readonly value: string;
}

/** Parses `type:value`; the value may have colons. @throws SpiffeError `SELECTOR_INVALID` */
export function parseSelector(text: string): Selector {
  const colon = text.indexOf(':');
  if (colon === -1) {
    throw new SpiffeError(
      'SELECTOR_INVALID',
      `selector ${quoteText(text)} has no colon: write "type:value", such as "unix:uid:0"`,
    );
  }
  const selector = { type: text.slice(0, colon), value: text.slice(colon + 1) };
  requireValidSelector(selector);
  return selector;
}

/** @throws SpiffeError `SELECTOR_INVALID` */
export function requireValidSelector(selector: Selector): void {
  if (selector.type === '') {
    throw new SpiffeError('SELECTOR_INVALID', `selector with value ${quoteText(selector.value)} has no type`);
  }
  if (selector.type.includes(':')) {
    throw new SpiffeError('SELECTOR_INVALID', `selector type ${quoteText(selector.type)} has a colon`);
  }
  if (selector.value === '') {
    throw new SpiffeError('SELECTOR_INVALID', `selector of type ${quoteText(selector.type)} has no value`);
  }
}

const MAX_TYPE_CHARACTERS = 256;
/** With its type and an entry's ID it has to fit into an index of PostgreSQL, which takes 2,704 bytes. */
const MAX_VALUE_BYTES = 2048;

/** Of a selector that is kept. @throws SpiffeError `SELECTOR_INVALID` */
export function requireShortSelector({ type, value }: Selector): void {
  if (type.length > MAX_TYPE_CHARACTERS) {
    throw new SpiffeError(
      'SELECTOR_INVALID',
      `selector type ${quoteText(type)} has ${type.length} characters: ${MAX_TYPE_CHARACTERS} at most`,
    );
  }
  if (Buffer.byteLength(value) > MAX_VALUE_BYTES) {
    throw new SpiffeError(
      'SELECTOR_INVALID',
      `selector of type ${quoteText(type)} has a value of ${Buffer.byteLength(value)} bytes: ${MAX_VALUE_BYTES} at most`,
    );
  }
}

/** `type:value`, the inverse of {@link parseSelector}. */
export function formatSelector(selector: Selector): string {
  return `${selector.type}:${selector.value}`;
}

/** Order of type, then value, by code unit. */
export function compareSelectors(a: Selector, b: Selector): number {
  if (a.type !== b.type) return a.type < b.type ? -1 : 1;
  if (a.value !== b.value) return a.value < b.value ? -1 : 1;
  return 0;
}

/** A short name for the set, whatever its order. */
export function digestOfSelectors(selectors: readonly Selector[]): string {
  const sorted = selectors.toSorted(compareSelectors).map(({ type, value }) => [type, value]);
  return createHash('sha256').update(JSON.stringify(sorted)).digest('base64');
}

/** Tells whether every one of `wanted` is among `have`: an entry's selectors against a workload's. */
export function containsAllSelectors(have: readonly Selector[], wanted: readonly Selector[]): boolean {
  return wanted.every((w) => have.some((h) => h.type === w.type && h.value === w.value));
}

/** Each once, in the order in which they come first. */
export function distinctSelectors(selectors: readonly Selector[]): readonly Selector[] {
  return [...new Map(selectors.map((selector) => [formatSelector(selector), selector])).values()];
}
