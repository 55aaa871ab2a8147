import type { ServerConfig } from '../config/server-config.ts';
import { unsupportedSinks } from '../telemetry/unsupported-sinks.ts';

/** Loaded and told nothing yet. */
const UNUSED_TYPES: readonly string[] = ['CredentialComposer'];

/** Keys of the configuration that are set and that nothing comes of yet. */
export function findUnsupported(config: ServerConfig): readonly string[] {
  const plugins = config.plugins.filter(({ enabled }) => enabled);
  const unused = plugins.filter(({ type }) => UNUSED_TYPES.includes(type));
  const set: Readonly<Record<string, boolean>> = {
    'server.profiling_enabled': config.profiling.enabled,
  };
  return [
    ...Object.keys(set).filter((key) => set[key]),
    ...unsupportedSinks(config.telemetry),
    ...unused.map(({ type, name }) => `plugins.${type}.${name}`),
  ];
}
