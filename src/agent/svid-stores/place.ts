import { SpiffeError } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';

/** Where an SVID is stored: a plugin, and what it is told of where. */
export interface Place {
  /** Two places are the same where their keys are. */
  readonly key: string;
  /** Name of the plugin. */
  readonly store: string;
  /** Values of the entry's selectors, in its order. */
  readonly metadata: readonly string[];
}

export function createPlace(store: string, metadata: readonly string[]): Place {
  return { key: JSON.stringify([store, metadata.toSorted()]), store, metadata: [...metadata] };
}

/**
 * The place that an entry's selectors name: their type is the plugin's name, their values are its metadata.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` for selectors of several types, or for none
 * @see plugin-wire §8.8
 */
export function placeOf(selectors: readonly Selector[]): Place {
  const [first] = selectors;
  if (first === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'it has no selectors, which would name the store');
  const other = selectors.find(({ type }) => type !== first.type);
  if (other !== undefined) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `its selectors have the types "${first.type}" and "${other.type}", and an SVID has one store: give all of them one type`,
    );
  }
  return createPlace(
    first.type,
    selectors.map(({ value }) => value),
  );
}

/** Whether what is deleted at one place may be what is kept at the other: such as a secret with the same name and another key. */
export function mayCoincide(a: Place, b: Place): boolean {
  return a.store === b.store && a.metadata.some((value) => b.metadata.includes(value));
}
