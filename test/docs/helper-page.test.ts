import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { helperSchema, readHelperConfig } from '../../src/config/helper-config.ts';
import { inputShapeOf } from '../../src/config/schema-shape.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const page = readFileSync(fileURLToPath(new URL('../../docs/agent/helper.md', import.meta.url)), 'utf8');
const examples = [...page.matchAll(/```hcl\n([\s\S]*?)```/g)].map(([, text = '']) => text);

/** `health_checks.bind_port`. */
function keysOf(schema: Parameters<typeof inputShapeOf>[0]): readonly string[] {
  const shape = inputShapeOf(schema);
  if (shape.kind !== 'object') return [];
  return Object.entries(shape.shape).flatMap(([key, inner]) => {
    const below = keysOf(inner);
    return below.length === 0 ? [key] : below.map((name) => `${key}.${name}`);
  });
}

test('every key of the configuration has a place in the table, and no other has', () => {
  const documented = [...page.matchAll(/^\| (`[^|]+?) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, key]) => key),
  );
  expect(documented.toSorted()).toEqual(keysOf(helperSchema).toSorted());
});

test.each(examples)('example %# is a configuration', async (text) => {
  await using folder = await createTemporaryFolder();
  const path = folder.join('helper.conf');
  await writeFile(path, text);
  expect(readHelperConfig({ path }).warnings).toEqual([]);
});

test('there are examples', () => {
  expect(examples).toHaveLength(5);
});
