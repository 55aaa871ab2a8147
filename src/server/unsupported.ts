import type { ServerConfig } from '../config/server-config.ts';
import { unsupportedSinks } from '../telemetry/unsupported-sinks.ts';

/** Keys of the configuration that are set and that nothing comes of yet. */
export function findUnsupported(config: ServerConfig): readonly string[] {
  const set: Readonly<Record<string, boolean>> = {
    'server.profiling_enabled': config.profiling.enabled,
  };
  return [...Object.keys(set).filter((key) => set[key]), ...unsupportedSinks(config.telemetry)];
}
