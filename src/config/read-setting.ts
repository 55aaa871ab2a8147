import { z } from 'zod';
import { isSpiffeError } from '../spiffe/error.ts';
import { readConfigText } from './read-config.ts';

/**
 * Single settings of a configuration that somebody else checks as a whole.
 *
 * @returns those of `names` that are there and hold text which is not empty; none where the configuration has mistakes
 */
export function findSettings<Name extends string>(text: string, names: readonly Name[]): ReadonlyMap<Name, string> {
  const settings = readLoosely(text);
  return new Map(
    names.flatMap((name) => {
      const value = settings[name];
      return typeof value === 'string' && value !== '' ? [[name, value] as const] : [];
    }),
  );
}

/** Every setting at the top of a configuration; none where it has mistakes. */
export function readLoosely(text: string): Readonly<Record<string, unknown>> {
  try {
    return readConfigText(z.record(z.string(), z.unknown()), text, { source: 'plugin_data' });
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return {};
  }
}
