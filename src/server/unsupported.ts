import type { ServerConfig } from '../config/server-config.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { unsupportedSinks } from '../telemetry/unsupported-sinks.ts';

/** Loaded and told nothing yet. */
const UNUSED_TYPES: readonly string[] = ['CredentialComposer'];

/**
 * Keys of the configuration that are set and that nothing comes of yet.
 *
 * @throws SpiffeError `CONFIG_INVALID` for those that decide who is connected or what is trusted, a line each.
 */
export function findUnsupported(config: ServerConfig): readonly string[] {
  const plugins = config.plugins.filter(({ enabled }) => enabled);
  const refusals = [
    ...plugins
      .filter(({ type }) => type === 'UpstreamAuthority')
      .map(({ type, name }) => `plugins.${type}.${name}: ${NO_UPSTREAM_AUTHORITY}`),
  ];
  if (refusals.length > 0) throw new SpiffeError('CONFIG_INVALID', refusals.join('\n'));
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

const NO_UPSTREAM_AUTHORITY =
  'this version signs with an authority of its own only, remove the plugin or set enabled = false';
