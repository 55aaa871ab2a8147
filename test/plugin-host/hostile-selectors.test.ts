import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import { builtinPlugins } from '../harness/built-programs.ts';
import { JOIN_TOKEN, pluginConfig, TestHost } from './go-plugins.ts';

let catalog: PluginCatalog;
beforeAll(async () => {
  const attestor = pluginConfig({
    type: 'WorkloadAttestor',
    name: 'hostile',
    command: process.execPath,
    args: [join(import.meta.dirname, 'hostile-selectors-plugin.ts')],
  });
  const plugins = [pluginConfig({ type: 'KeyManager', name: 'memory' }), JOIN_TOKEN, attestor];
  catalog = await new TestHost().load('agent', plugins, { builtins: builtinPlugins('agent') });
});
afterAll(() => catalog[Symbol.asyncDispose]());

const attest = (pid: number) => catalog.workloadAttestors[0]?.attest(pid, new AbortController().signal);

test.each([
  [1, 'more than anybody has', /answered 20000 selectors, more than 10000/],
  [2, 'what no text column keeps', /answered a selector with a NUL in it/],
  [3, 'one that is longer than anything', /a selector of more than 65536 characters/],
  [4, 'an empty one', /answered a selector without a value/],
  [5, 'a message of millions', /more than 1048576 bytes/],
])('selectors %i: %s are refused', async (pid, _what, message) => {
  await expect(attest(pid)).rejects.toThrow(message);
});

test('what is only odd is taken', async () => {
  expect(await attest(6)).toEqual([
    { type: 'hostile', value: 'two\nlines' },
    { type: 'hostile', value: 'colon:in:it' },
  ]);
});
