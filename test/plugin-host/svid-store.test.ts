import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import type { StoredX509Svid, SvidStore } from '../../src/plugin-host/kinds/svid-store.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { Status } from '../../src/spiffe/status.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { eventually } from '../harness/eventually.ts';
import { describeSvid } from '../interop/sdk-plugins/describe.ts';
import { pluginConfig, TestHost } from './go-plugins.ts';
import { describePlugins, loadAgent, requireLoaded } from './implementations.ts';

const STORED: StoredX509Svid = {
  spiffeId: parseSpiffeId('spiffe://example.org/web'),
  certificates: [Buffer.from('leaf'), Buffer.from('intermediate')],
  privateKey: Buffer.from('a key'),
  bundle: [Buffer.from('root one'), Buffer.from('root two')],
  expiresAt: 1_900_000_000,
  metadata: ['name:web', 'region:here'],
  federatedBundles: new Map([
    [parseTrustDomain('one.test'), [Buffer.from('a'), Buffer.from('b')]],
    [parseTrustDomain('two.test'), []],
  ]),
};

describePlugins('an SVID store', (implementation) => {
  const { signal } = new AbortController();
  const host = new TestHost();
  let catalog: PluginCatalog;
  let store: SvidStore;
  beforeAll(async () => {
    const plugin = await implementation.plugin('svid-store');
    const attestor = await implementation.plugin('workload-attestor');
    catalog = await loadAgent(host, [
      pluginConfig({ type: 'SVIDStore', name: 'vault', ...plugin }),
      pluginConfig({ type: 'WorkloadAttestor', name: 'any', ...attestor }),
    ]);
    store = requireLoaded(catalog.svidStores[0]);
  });
  afterAll(() => catalog?.[Symbol.asyncDispose]());

  const logged = async (message: string, fields: Record<string, string>) => {
    await eventually(() =>
      expect(host.records).toContainEqual(
        expect.objectContaining({ message, fields: expect.objectContaining(fields) }),
      ),
    );
  };

  test('gets all that there is to store (§8.8)', async () => {
    await store.putX509Svid(STORED, signal);
    const federatedBundles = [...STORED.federatedBundles].map(
      ([trustDomain, certificates]) => [`spiffe://${trustDomain}`, Buffer.concat(certificates)] as const,
    );
    await logged('put', { svid: describeSvid({ ...STORED, federatedBundles }) });
  });

  test('is told where to delete (§8.8)', async () => {
    await store.deleteX509Svid(['name:web', 'region:here'], signal);
    await logged('delete', { metadata: 'name:web,region:here' });
  });

  test('what it cannot make sense of counts as deleted (§8.8)', async () => {
    await expect(store.deleteX509Svid(['nonsense'], signal)).resolves.toBeUndefined();
  });

  test('other failures have their code and the prefix (§9)', async () => {
    const busy = { status: Status.Unavailable, message: 'svidstore(vault): the store is busy' };
    await expect(store.deleteX509Svid(['busy'], signal)).rejects.toMatchObject(busy);
    await expect(store.putX509Svid({ ...STORED, metadata: ['busy'] }, signal)).rejects.toMatchObject(busy);
    await expect(store.putX509Svid({ ...STORED, metadata: ['nonsense'] }, signal)).rejects.toMatchObject({
      status: Status.InvalidArgument,
      message: 'svidstore(vault): the metadata makes no sense',
    });
  });

  test('an SVID without a certificate is refused before the plugin sees it', async () => {
    await expect(store.putX509Svid({ ...STORED, certificates: [] }, signal)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    });
  });
});
