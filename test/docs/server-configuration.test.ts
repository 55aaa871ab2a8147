import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readServerConfig } from '../../src/config/server-config.ts';
import { serverFile } from '../../src/config/server-schema.ts';
import { configurationPage, optionPaths, unusedValues } from './configuration-page.ts';
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
  const unused = unusedValues(config);
  expect([...unused].sort()).toEqual([...WITHOUT_EFFECT].sort());
});
