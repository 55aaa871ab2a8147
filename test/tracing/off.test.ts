import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const dist = join(import.meta.dirname, '..', '..', 'dist');
const bundles = [
  'assayer.js',
  'plugin-sdk.js',
  'managed-tls-key-worker.js',
  ...readdirSync(join(dist, 'plugins'))
    .filter((name) => name.endsWith('.js'))
    .map((name) => `plugins/${name}`),
];

test.each(bundles)('%s is without OpenTelemetry, which is read where something is traced', (name) => {
  expect(readFileSync(join(dist, name), 'utf8')).not.toMatch(/opentelemetry\.io|@opentelemetry/);
});

test('the file that is read then has it', () => {
  expect(readFileSync(join(dist, 'open-telemetry.js'), 'utf8')).toMatch(/opentelemetry/);
});
