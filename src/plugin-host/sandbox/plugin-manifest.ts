import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { choice } from '../../config/fields.ts';
import { readConfigText } from '../../config/read-config.ts';
import { readLoosely } from '../../config/read-setting.ts';
import { absolutePath, capability, count, type ManifestOf, size } from '../../config/sandbox-config.ts';
import { PLUGIN_TYPES } from '../../rpc/go-plugin.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { WIDE_LIMITS } from './policy.ts';

const MAX_PLACES = 64;
const MAX_TEXT = 128;
/** A path of the plugin's configuration: `plugin_data.keys_path`, `dirname(plugin_data.keys_path)`. */
const REFERENCE = /^(?:plugin_data\.([A-Za-z_]\w*)|dirname\(plugin_data\.([A-Za-z_]\w*)\))$/;
const referenceSentence = 'must be "plugin_data.KEY" or "dirname(plugin_data.KEY)"';

const reference = z.string().regex(REFERENCE, {
  error: `${referenceSentence}: who configures the plugin says which folder becomes its own`,
});
const place = z.union([absolutePath, z.string().regex(REFERENCE)], {
  error: `must be an absolute path, "plugin_data.KEY" or "dirname(plugin_data.KEY)"`,
});
const atMost = (least: number, most: number) =>
  count(least).max(most, { error: `must be ${most} at most, which a plugin without a manifest has` });
const text = z.string().min(1).max(MAX_TEXT);

const pluginManifest = z.strictObject({
  name: text,
  version: text,
  side: choice(['server', 'agent']),
  kind: z.enum(PLUGIN_TYPES, { error: `must be one of ${PLUGIN_TYPES.join(', ')}` }),
  sandbox: z.strictObject({
    user: choice(['own', 'host']).default('own'),
    network: choice(['none', 'unix', 'all']).default('none'),
    readable: z.array(place).max(MAX_PLACES).default([]),
    writable: z.array(reference).max(MAX_PLACES).default([]),
    devices: z.array(place).max(MAX_PLACES).default([]),
    capabilities: z.array(capability).max(MAX_PLACES).default([]),
    all_processes: z.boolean().default(false),
    memory: size.refine((bytes) => bytes <= WIDE_LIMITS.memoryBytes, { error: 'must be "4GiB" at most' }).optional(),
    processes: atMost(8, WIDE_LIMITS.processes).optional(),
    files: atMost(32, WIDE_LIMITS.files).optional(),
  }),
});

/** What a plugin of others says of itself and of its needs. */
export type PluginManifest = z.output<typeof pluginManifest>;

/**
 * Reads a manifest. It names no variables and no folder that would become the plugin's, so that it can only take away
 * from what a plugin of which nothing is known has.
 *
 * @param source names the file in messages
 * @throws SpiffeError `CONFIG_INVALID` that names every mistake
 */
export function parsePluginManifest(json: string, source: string): PluginManifest {
  try {
    JSON.parse(json);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new SpiffeError('CONFIG_INVALID', `${source}: is not JSON: ${reason}`, { cause });
  }
  return readConfigText(pluginManifest, json, { source });
}

/** The manifest's places, with what `plugin_data` says put in; what is not configured there is left out. */
export function manifestOf({ sandbox }: PluginManifest): ManifestOf {
  const { readable, writable, devices, all_processes: allProcesses, memory: memoryBytes, ...rest } = sandbox;
  return (data) => {
    const settings = readLoosely(data);
    const pathsOf = (places: readonly string[]) => places.flatMap((place) => findPaths(place, settings));
    return {
      ...rest,
      readable: pathsOf(readable),
      writable: pathsOf(writable),
      devices: pathsOf(devices),
      allProcesses,
      memoryBytes,
    };
  };
}

function findPaths(place: string, settings: Readonly<Record<string, unknown>>): readonly string[] {
  const [, key, keyOfFolder] = REFERENCE.exec(place) ?? [];
  const name = key ?? keyOfFolder;
  if (name === undefined) return [place];
  return [settings[name]]
    .flat()
    .filter((path): path is string => typeof path === 'string' && path !== '')
    .map((path) => (keyOfFolder === undefined ? resolve(path) : dirname(resolve(path))));
}
