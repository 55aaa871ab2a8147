import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import { inputShapeOf } from '../../src/config/schema-shape.ts';
import type { Option } from './server-options.ts';

/** Every option that the schema of a file knows, by its path; a name that the operator chooses is `<name>`. */
export function optionPaths(schema: z.core.$ZodType, path = ''): readonly string[] {
  const shape = inputShapeOf(schema);
  if (shape.kind === 'record') return optionPaths(shape.value, `${path}.<name>`);
  if (shape.kind === 'list' && inputShapeOf(shape.element).kind === 'object') return optionPaths(shape.element, path);
  if (shape.kind !== 'object' || Object.keys(shape.shape).length === 0) return [path];
  return Object.entries(shape.shape).flatMap(([key, inner]) =>
    optionPaths(inner, path === '' ? key : `${path}.${key}`),
  );
}

/** One table a section: `server` or `agent`, and those in it, have one each, every other one for all of it. */
export function configurationPage(
  program: 'server' | 'agent',
  paths: readonly string[],
  options: Readonly<Record<string, Option>>,
): string {
  const sections = Map.groupBy(paths, (path) =>
    path
      .split('.')
      .slice(0, path.startsWith(`${program}.`) ? -1 : 1)
      .join('.'),
  );
  const parts = [...sections].map(([section, inner]) => {
    const rows = inner.map((path) => {
      const { default: byDefault, does, difference = '' } = options[path] ?? { default: '', does: '' };
      const name = path === section ? path : path.slice(section.length + 1);
      return `| \`${name}\` | ${byDefault} | ${does} | ${difference} |`;
    });
    return `## \`${section}\`\n\n| option | default | does | otherwise than SPIRE |\n|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# The ${program}'s configuration

A file in HCL or JSON with SPIRE's names, \`conf/${program}/${program}.conf\` or what \`-config\` names; \`${program} validate\` checks it. Durations are in Go's notation, such as
\`"1h30m"\`. An unknown key is a mistake. Every option is here: the table is made from what the ${program} reads.

${parts.join('\n')}`;
}

/** Names of the values of a configuration that was read which nothing outside of src/config uses. */
export function unusedValues(config: unknown): readonly string[] {
  const names = new Set<string>();
  collect(config, names);
  const folder = join(import.meta.dirname, '../../src');
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/^(config|gen)\//.test(path))
    .map((path) => readFileSync(join(folder, path), 'utf8'))
    .join('\n');
  return [...names].filter((name) => !new RegExp(`\\b${name}\\b`).test(sources));
}

/** Names of all values that are not in a list, nor what a plugin is given. */
function collect(value: unknown, names: Set<string>): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  for (const [name, inner] of Object.entries(value)) {
    if (name === 'plugins') continue;
    names.add(name);
    collect(inner, names);
  }
}
