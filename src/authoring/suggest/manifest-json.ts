import { dirname, resolve } from 'node:path';
import { readLoosely } from '../../config/read-setting.ts';
import { formatSize } from './sandbox-block.ts';
import type { Note, Suggestion } from './suggestion.ts';

/** Where an author begins to count. */
const FIRST_VERSION = '0.1.0';

/** The file `PLUGIN.manifest.json`, what is empty left out; the part `sandbox` alone where it is not known whose it is. */
export function toManifestJson(suggestion: Suggestion): Readonly<Record<string, unknown>> {
  const { manifest, limits, subject } = suggestion;
  const { user, network, allProcesses, capabilities } = manifest;
  const references = referencesOf(subject?.configuration ?? '');
  const named = (places: readonly string[]) => [...new Set(places.map((place) => references.get(place) ?? place))];
  const lists = Object.entries({
    readable: named(manifest.readable),
    writable: named(manifest.writable).filter((place) => !place.startsWith('/')),
    devices: named(manifest.devices),
    capabilities,
  }).filter(([, list]) => list.length > 0);
  const sandbox = {
    user,
    network,
    ...Object.fromEntries(lists),
    ...(allProcesses ? { all_processes: true } : {}),
    memory: formatSize(limits.memoryBytes),
    processes: limits.processes,
    files: limits.files,
  };
  if (subject === undefined) return { sandbox };
  return { name: subject.name, version: FIRST_VERSION, side: subject.side, kind: subject.type, sandbox };
}

/** Folders that a manifest cannot give, as nothing in the plugin's configuration names them. */
export function notesOnManifest({ manifest, subject }: Suggestion): readonly Note[] {
  const references = referencesOf(subject?.configuration ?? '');
  const unnamed = manifest.writable.filter((place) => !references.has(place));
  return unnamed.map((place): Note => {
    const message = `${place} is not in the manifest, which gives away folders of plugin_data alone: take a key for it there, or name it in the block`;
    return { about: 'writable', message };
  });
}

/** How a manifest names the paths that are in `plugin_data`, and their folders. */
function referencesOf(configuration: string): ReadonlyMap<string, string> {
  const settings = Object.entries(readLoosely(configuration)).filter(([key]) => /^[A-Za-z_]\w*$/.test(key));
  const paths = settings.flatMap(([key, value]) =>
    [value].flat().flatMap((path) => (typeof path === 'string' && path !== '' ? [[key, resolve(path)] as const] : [])),
  );
  return new Map([
    ...paths.map(([key, path]) => [dirname(path), `dirname(plugin_data.${key})`] as const),
    ...paths.map(([key, path]) => [path, `plugin_data.${key}`] as const),
  ]);
}
