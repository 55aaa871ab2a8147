import { SpiffeError } from '../../spiffe/error.ts';
import { requireValidSelector, type Selector } from '../../spiffe/selector.ts';

/** A pod with all its labels, images and owners has some fifty. */
const MAX_SELECTORS = 1_000;
/** They are kept for as long as the call lasts. */
const MAX_BYTES = 256 * 1024;

/** @throws SpiffeError `ARGUMENT_INVALID` for none or too many, `SELECTOR_INVALID` for one that breaks a rule. */
export function requestedSelectors(given: readonly Selector[]): readonly Selector[] {
  if (given.length > MAX_SELECTORS) {
    throw new SpiffeError('ARGUMENT_INVALID', `${given.length} selectors are too many, ${MAX_SELECTORS} at most`);
  }
  const bytes = given.reduce((sum, { type, value }) => sum + Buffer.byteLength(type) + Buffer.byteLength(value), 0);
  if (bytes > MAX_BYTES) {
    throw new SpiffeError('ARGUMENT_INVALID', `selectors of ${bytes} bytes are too long, ${MAX_BYTES} at most`);
  }
  for (const selector of given) requireValidSelector(selector);
  return given.map(({ type, value }) => ({ type, value }));
}
