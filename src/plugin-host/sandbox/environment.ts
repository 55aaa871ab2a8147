import { PLUGIN_ENVIRONMENT, PLUGIN_TYPES } from '../../rpc/go-plugin.ts';

/** Where programs are found, how they speak, and V8's cache, which makes a start shorter. */
const KEPT = /^(?:PATH|LANG|LANGUAGE|LC_[A-Z]+|TZ|NODE_COMPILE_CACHE|NODE_COMPILE_CACHE_PORTABLE)$/;
/** Left from a host of the host they would change how a plugin speaks. */
const OF_THE_CONTRACT: ReadonlySet<string> = new Set([...PLUGIN_TYPES, ...Object.values(PLUGIN_ENVIRONMENT)]);

/** Of the host's own variables those that every plugin may know, and those that its configuration names. */
export function handedOnVariables(
  named: readonly string[],
  own: Readonly<Record<string, string | undefined>> = process.env,
): Readonly<Record<string, string>> {
  const isHandedOn = (name: string) => !OF_THE_CONTRACT.has(name) && (KEPT.test(name) || named.includes(name));
  return Object.fromEntries(
    Object.entries(own).flatMap(([name, value]) => (value !== undefined && isHandedOn(name) ? [[name, value]] : [])),
  );
}

/** All of the host's own variables, for a plugin without a sandbox. */
export function allVariables(): Readonly<Record<string, string>> {
  return handedOnVariables(Object.keys(process.env));
}
