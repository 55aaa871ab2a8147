import type { Override } from './read-config.ts';

/** The flags that were given, as values for the keys of a section. Empty text and `false` leave the file's value. */
export function toOverrides<K extends string>(
  section: string,
  given: Readonly<Partial<Record<K, string | number | boolean | undefined>>>,
  keys: Readonly<Record<K, readonly [key: string, flag: string]>>,
): readonly Override[] {
  const names = Object.keys(keys) as K[];
  return names.flatMap((name) => {
    const value = given[name];
    const [key, flag] = keys[name];
    return value === undefined || value === '' || value === false ? [] : [{ path: [section, key], value, flag }];
  });
}
