import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { BuiltinPlugins } from '../../src/plugin-host/to-plugin-spec.ts';
import { builtPlugin } from '../harness/built-programs.ts';
import { eventually } from '../harness/eventually.ts';
import { pluginConfig, SQL, TestHost } from './go-plugins.ts';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const builtins: BuiltinPlugins = (type, name) =>
  type === 'KeyManager' && name === 'memory'
    ? { command: process.execPath, args: [builtPlugin('server', 'memory')] }
    : undefined;

describe.each([false, true])('plugins of our own SDK in our own host, AutoMTLS %s', (autoMtls) => {
  test('attest with host services over the broker, log and print', async () => {
    const host = new TestHost();
    host.knownAgents.add('spiffe://example.org/node');
    await using catalog = await host.load(
      'server',
      [
        SQL,
        pluginConfig({ type: 'KeyManager', name: 'memory', autoMtls }),
        pluginConfig({
          type: 'NodeAttestor',
          name: 'sdk',
          command: process.execPath,
          args: [source('sdk-attestor.ts')],
          autoMtls,
        }),
      ],
      { builtins },
    );
    expect(catalog.plugins[0]).toMatchObject({ name: 'memory', builtin: true, state: 'running' });
    await expect(catalog.keyManager.generateKey('k', 'ec-p256')).resolves.toMatchObject({ id: 'k' });
    const attributes = await catalog
      .findServerNodeAttestor('sdk')
      ?.attest(Buffer.from('node'), async () => Buffer.from('me'), {
        csrPublicKey: Buffer.from('spki'),
        signal: new AbortController().signal,
      });
    expect(attributes).toEqual({
      spiffeId: 'spiffe://example.org/spire/agent/sdk/node',
      selectors: ['answer:me', 'known:spiffe://example.org/node', 'csr:spki'].map((value) => ({ type: 'sdk', value })),
      canReattest: false,
    });
    expect(host.metrics).toEqual(['sdk.attested']);
    await eventually(() =>
      expect(host.records).toContainEqual(
        expect.objectContaining({
          level: 'info',
          message: 'attested',
          fields: expect.objectContaining({ plugin_name: 'sdk', node: 'node' }),
        }),
      ),
    );
  });
});
