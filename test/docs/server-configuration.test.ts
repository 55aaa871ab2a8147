import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readServerConfig } from '../../src/config/server-config.ts';
import { serverFile } from '../../src/config/server-schema.ts';
import { configurationPage, optionPaths } from './configuration-page.ts';
import { SERVER_OPTIONS } from './server-options.ts';

// `UPDATE_CONFIGURATION=1 npx vitest run test/docs/server-configuration.test.ts` writes the page anew.
const root = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = join(root, 'docs/server/configuration.md');

const paths = optionPaths(serverFile);

test('every option of the schema has a line in the table, and none has that is not there', () => {
  expect(Object.keys(SERVER_OPTIONS).sort()).toEqual([...paths].sort());
});

test('docs/server/configuration.md is what the table says', () => {
  const page = configurationPage('server', paths, SERVER_OPTIONS);
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
