import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readAgentConfig } from '../../src/config/agent-config.ts';
import { agentFile } from '../../src/config/agent-schema.ts';
import { AGENT_OPTIONS } from './agent-options.ts';
import { configurationPage, optionPaths, unusedValues } from './configuration-page.ts';

// `UPDATE_CONFIGURATION=1 npx vitest run test/docs/agent-configuration.test.ts` writes the page anew.
const PAGE = join(import.meta.dirname, '../../docs/agent/configuration.md');

const paths = optionPaths(agentFile);

test('every option of the schema has a line in the table, and none has that is not there', () => {
  expect(Object.keys(AGENT_OPTIONS).sort()).toEqual([...paths].sort());
});

test('docs/agent/configuration.md is what the table says', () => {
  const page = configurationPage('agent', paths, AGENT_OPTIONS);
  if (process.env.UPDATE_CONFIGURATION !== undefined) writeFileSync(PAGE, page);
  expect(page).toBe(readFileSync(PAGE, 'utf8'));
});

test('every value of a read configuration is used by something outside of src/config', () => {
  const config = readAgentConfig({ path: join(import.meta.dirname, '../config/fixtures/agent.conf') });
  expect(unusedValues(config)).toEqual([]);
});
