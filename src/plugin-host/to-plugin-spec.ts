import { resolve } from 'node:path';
import { COMPOSITE } from '../config/composite-rule.ts';
import { requirePluginConstraints } from '../config/plugin-constraints.ts';
import type { PluginConfig } from '../config/plugins.ts';
import type { ManifestOf } from '../config/sandbox-config.ts';
import { PLUGIN_TYPES, type PluginSide, type PluginType } from '../rpc/go-plugin.ts';
import { parseHandshake } from '../rpc/handshake.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { PluginSpec } from './plugin-spec.ts';

/** The executable of a plugin that comes with the program; undefined where there is none of that name. */
export type BuiltinPlugins = (type: PluginType, name: string) => BuiltinPlugin | undefined;

export interface BuiltinPlugin {
  readonly command: string;
  readonly args: readonly string[];
  readonly version?: string;
  /** What it needs of the system; without one it is confined no more than a plugin of others. */
  readonly manifest?: ManifestOf;
  /** Files and folders that it runs from, beside the command. */
  readonly program?: readonly string[];
}

export interface SpecOptions {
  readonly side: PluginSide;
  readonly plugins: readonly PluginConfig[];
  readonly builtins: BuiltinPlugins;
}

/**
 * The plugins that are to run, in the order of the configuration.
 *
 * @throws SpiffeError `CONFIG_INVALID` for a selection that the program cannot have
 */
export function toPluginSpecs(options: SpecOptions): readonly PluginSpec[] {
  requirePluginConstraints(options.side, options.plugins);
  const enabled = options.plugins.filter((config) => config.enabled && !isInternal(config));
  return enabled.map((config) => toSpec(config, options));
}

/** What is configured like a plugin and is none. */
export function isInternal({ type, name }: PluginConfig): boolean {
  return type === 'DataStore' || (type === 'NodeAttestor' && (name === 'join_token' || name === COMPOSITE));
}

function toSpec(config: PluginConfig, { side, builtins }: SpecOptions): PluginSpec {
  const { name, checksum, data, autoMtls, sandbox, attestTimeoutSeconds } = config;
  const label = `${config.type} ${JSON.stringify(name)}`;
  const type = PLUGIN_TYPES.find((known) => known === config.type);
  if (type === undefined) throw new SpiffeError('CONFIG_INVALID', `${label}: there are no plugins of this type`);
  if (config.attach !== undefined) {
    const attach = parseHandshake(config.attach);
    const command = attach.address;
    const common = { side, type, name, data, attestTimeoutSeconds };
    return { ...common, builtin: false, command, args: [], checksum: undefined, autoMtls: false, attach };
  }
  const common = { side, type, name, checksum, data, autoMtls, sandbox, attestTimeoutSeconds };
  if (config.command) {
    const command = resolve(config.command);
    return { ...common, builtin: false, command, args: config.args };
  }
  const found = builtins(type, name);
  if (found === undefined) {
    throw new SpiffeError('CONFIG_INVALID', `${label} is not built in: name its executable with plugin_cmd`);
  }
  return { ...common, builtin: true, ...found };
}
