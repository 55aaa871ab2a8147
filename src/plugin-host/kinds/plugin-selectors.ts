import { SpiffeError } from '../../spiffe/error.ts';
import { requireValidSelector, type Selector } from '../../spiffe/selector.ts';
import type { PluginName } from '../plugin-error.ts';

/** Of one node or workload; a plugin that finds more is broken. Each is kept, sent and compared. */
const MAX_SELECTORS = 10_000;
/** Longer than any path or label. */
const MAX_VALUE_CHARACTERS = 64 * 1024;

/**
 * What an attestor found, of its own name as type.
 *
 * @throws SpiffeError `PLUGIN_PROTOCOL` for too many, or for a value that no selector can have
 */
export function pluginSelectors({ name: type }: PluginName, values: readonly string[]): readonly Selector[] {
  if (values.length > MAX_SELECTORS) refuse(`${values.length} selectors, more than ${MAX_SELECTORS}`);
  for (const value of values) {
    if (value.length > MAX_VALUE_CHARACTERS) refuse(`a selector of more than ${MAX_VALUE_CHARACTERS} characters`);
    if (value.includes('\0')) refuse('a selector with a NUL in it'); // which PostgreSQL does not keep
  }
  const selectors = values.map((value) => ({ type, value }));
  try {
    selectors.forEach(requireValidSelector);
  } catch (cause) {
    refuse('a selector without a value', cause);
  }
  return selectors;
}

function refuse(what: string, cause?: unknown): never {
  throw new SpiffeError('PLUGIN_PROTOCOL', `the plugin answered ${what}`, { cause });
}
