import { createHash } from 'node:crypto';
import { isAbsolute } from 'node:path';
import { findFileState } from '../files/file-state.ts';
import { readPluginData } from './configure.ts';
import type { PluginSpec } from './plugin-spec.ts';

/** A word for all that a plugin is started from: two are equal where nothing has changed. */
export type SourceState = string;

/**
 * The configuration with the text of its `plugin_data_file`, and which files the executable and the arguments that are paths
 * are at this moment. What cannot be read counts as such: whoever starts the plugin says so.
 */
export async function sourceStateOf(spec: PluginSpec): Promise<SourceState> {
  const { command, args, data, checksum, sandbox, autoMtls, attach } = spec;
  const text = data && (await readPluginData(data).catch(() => null));
  const paths = [command, ...args.filter(isAbsolute)];
  const files = await Promise.all(paths.map(async (path) => (await findFileState(path)) ?? 'missing'));
  const parts = [command, args, text ?? null, checksum ?? null, sandbox ?? null, autoMtls, attach ?? null, files];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
