import { printHcl } from '../../config/print.ts';
import type { ConfigNode, ObjectItem } from '../../config/syntax-tree.ts';
import type { Suggestion } from './suggestion.ts';

const MEBIBYTE = 2 ** 20;

/** The manifest as an author puts it beside the plugin: JSON, what is empty left out. */
export function toManifestJson({ manifest, limits }: Suggestion): Readonly<Record<string, unknown>> {
  const { user, network, allProcesses } = manifest;
  const lists = Object.entries({
    readable: manifest.readable,
    writable: manifest.writable,
    devices: manifest.devices,
    capabilities: manifest.capabilities,
  }).filter(([, list]) => list.length > 0);
  return {
    user,
    network,
    ...Object.fromEntries(lists),
    ...(allProcesses ? { allProcesses } : {}),
    memory: formatSize(limits.memoryBytes),
    processes: limits.processes,
    files: limits.files,
  };
}

/** The block of a plugin's configuration that says the same, as far as it can. */
export function toSandboxBlock(suggestion: Suggestion): string {
  const { manifest, limits } = suggestion;
  // Any of the three hides the processes of others, which only a manifest gives back.
  const places = manifest.allProcesses
    ? []
    : [
        field('readable', list(manifest.readable)),
        field('writable', list(manifest.writable)),
        field('devices', list(manifest.devices)),
      ];
  const items = [
    field('user', text(manifest.user)),
    ...places,
    field('network', text(manifest.network)),
    field('capabilities', list(manifest.capabilities)),
    field('memory', text(formatSize(limits.memoryBytes))),
    field('processes', number(limits.processes)),
    field('files', number(limits.files)),
  ];
  return printHcl({ kind: 'object', position, items: [field('sandbox', { kind: 'object', position, items })] });
}

function formatSize(bytes: number): string {
  return `${Math.ceil(bytes / MEBIBYTE)}MiB`;
}

/** These nodes come from no file. */
const position = { line: 1, column: 1 };

const text = (value: string): ConfigNode => ({ kind: 'literal', type: 'string', text: value, position });
const number = (value: number): ConfigNode => ({ kind: 'literal', type: 'number', text: String(value), position });
const list = (values: readonly string[]): ConfigNode => ({ kind: 'list', items: values.map(text), position });
const field = (name: string, value: ConfigNode): ObjectItem => ({ keys: [name], value, position });
