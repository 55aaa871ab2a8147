import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { z } from 'zod';
import { inputShapeOf } from '../../src/config/schema-shape.ts';
import { readServerConfig } from '../../src/config/server-config.ts';
import { serverFile } from '../../src/config/server-schema.ts';
import { SERVER_OPTIONS } from './server-options.ts';

// `UPDATE_CONFIGURATION=1 npx vitest run test/docs/server-configuration.test.ts` writes the page anew.
const root = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = join(root, 'docs/server/configuration.md');

/** Every option that the schema of the file knows, by its path; a name that the operator chooses is `<name>`. */
function pathsOf(schema: z.core.$ZodType, path: string): readonly string[] {
  const shape = inputShapeOf(schema);
  if (shape.kind === 'record') return pathsOf(shape.value, `${path}.<name>`);
  if (shape.kind === 'list' && inputShapeOf(shape.element).kind === 'object') return pathsOf(shape.element, path);
  if (shape.kind !== 'object' || Object.keys(shape.shape).length === 0) return [path];
  return Object.entries(shape.shape).flatMap(([key, inner]) => pathsOf(inner, path === '' ? key : `${path}.${key}`));
}

const paths = pathsOf(serverFile, '');

test('every option of the schema has a line in the table, and none has that is not there', () => {
  expect(Object.keys(SERVER_OPTIONS).sort()).toEqual([...paths].sort());
});

test('docs/server/configuration.md is what the table says', () => {
  const page = render();
  if (process.env.UPDATE_CONFIGURATION !== undefined) writeFileSync(PAGE, page);
  expect(page).toBe(readFileSync(PAGE, 'utf8'));
});

/** Read, and nothing comes of them: the table says why. The last two are the configuration's own: of one a path is made, of the other warnings. */
const WITHOUT_EFFECT = ['eventsBasedCache', 'eventTimeoutSeconds', 'witKeyType', 'connectionString', 'deprecations'];

test('every value of a read configuration is used by something outside of src/config', () => {
  const config = readServerConfig({ path: join(root, 'test/config/fixtures/server.conf') });
  const names = new Set<string>();
  collect(config, names);
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/^(config|gen)\//.test(path))
    .map((path) => readFileSync(join(root, 'src', path), 'utf8'))
    .join('\n');
  const unused = [...names].filter((name) => !new RegExp(`\\b${name}\\b`).test(sources));
  expect(unused.sort()).toEqual([...WITHOUT_EFFECT].sort());
});

/** Names of all values that are not in a list, nor what a plugin is given. */
function collect(value: unknown, names: Set<string>): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  for (const [name, inner] of Object.entries(value)) {
    if (name === 'plugins') continue;
    names.add(name);
    collect(inner, names);
  }
}

function render(): string {
  const sections = Map.groupBy(paths, (path) =>
    path
      .split('.')
      .slice(0, path.startsWith('server.') ? -1 : 1)
      .join('.'),
  );
  const parts = [...sections].map(([section, inner]) => {
    const rows = inner.map((path) => {
      const { default: byDefault, does, difference = '' } = SERVER_OPTIONS[path] ?? { default: '', does: '' };
      const name = path === section ? path : path.slice(section.length + 1);
      return `| \`${name}\` | ${byDefault} | ${does} | ${difference} |`;
    });
    return `## \`${section}\`\n\n| option | default | does | otherwise than SPIRE |\n|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# The server's configuration

A file in HCL or JSON with SPIRE's names, \`conf/server/server.conf\` or what \`-config\` names; \`server validate\` checks it. Durations are in Go's notation, such as
\`"1h30m"\`. An unknown key is a mistake. Every option is here: the table is made from what the server reads.

${parts.join('\n')}`;
}
