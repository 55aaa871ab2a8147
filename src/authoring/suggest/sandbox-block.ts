import { printHcl } from '../../config/print.ts';
import type { ConfigNode, ObjectItem } from '../../config/syntax-tree.ts';
import type { Suggestion } from './suggestion.ts';

const MEBIBYTE = 2 ** 20;

/** The block `sandbox { … }` of a plugin's configuration, as far as it can say it. */
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

export function formatSize(bytes: number): string {
  return `${Math.ceil(bytes / MEBIBYTE)}MiB`;
}

/** These nodes come from no file. */
const position = { line: 1, column: 1 };

const text = (value: string): ConfigNode => ({ kind: 'literal', type: 'string', text: value, position });
const number = (value: number): ConfigNode => ({ kind: 'literal', type: 'number', text: String(value), position });
const list = (values: readonly string[]): ConfigNode => ({ kind: 'list', items: values.map(text), position });
const field = (name: string, value: ConfigNode): ObjectItem => ({ keys: [name], value, position });
