import type { BuiltPlugin } from '../authoring/build-plugin/index.ts';
import { formatMemory } from './list-plugins.ts';
import { formatField, formatProtoJson } from './output.ts';

const WIDTH = 16;

/** One field a line, then what goes into a configuration file. */
export function formatBuild({ path, bytes, checksum, manifest, inspection, warnings }: BuiltPlugin): string {
  const { kinds, handshakeMs, memoryBytes, problems } = inspection;
  const rows: readonly (readonly [name: string, value: string | undefined])[] = [
    ['Plugin', path],
    ['Manifest', manifest?.path],
    ['Kind', kinds.length === 0 ? undefined : kinds.map(({ side, type }) => `${type} of the ${side}`).join(', ')],
    ['Size', `${bytes} bytes`],
    ['Handshake after', handshakeMs === undefined ? undefined : `${handshakeMs} ms`],
    ['Memory', memoryBytes === undefined ? undefined : formatMemory(memoryBytes)],
    ...[...warnings, ...inspection.warnings.map(({ step, message }) => `${step}: ${message}`)].map(
      (message) => ['Warning', message] as const,
    ),
    ...problems.map(({ step, message }) => ['Problem', `${step}: ${message}`] as const),
  ];
  const fields = rows.map(([name, value]) => (value === undefined ? '' : formatField(name, value, WIDTH))).join('');
  return `${fields}\nplugin_cmd = ${JSON.stringify(path)}\nplugin_checksum = "${checksum}"\n`;
}

export function formatBuildJson({ path, bytes, checksum, manifest, inspection, warnings }: BuiltPlugin): string {
  const { kinds, handshakeMs, readyMs, memoryBytes, problems, loadable } = inspection;
  const measured = { kinds, handshakeMs, readyMs, memoryBytes, problems, loadable };
  return formatProtoJson({ path, bytes, checksum, manifest: manifest?.path, warnings, ...measured });
}
