import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import type { BundlePublisher } from '../../src/plugin-host/kinds/bundle-publisher.ts';
import { Status } from '../../src/spiffe/status.ts';
import { eventually } from '../harness/eventually.ts';
import { describeBundle } from '../interop/sdk-plugins/describe.ts';
import { pluginConfig, TestHost } from './go-plugins.ts';
import { describePlugins, loadServer, requireLoaded } from './implementations.ts';
import { SAMPLE_BUNDLE } from './sample-bundle.ts';

describePlugins('a bundle publisher', (implementation) => {
  const { signal } = new AbortController();
  const host = new TestHost();
  let catalog: PluginCatalog;
  let publisher: BundlePublisher;
  beforeAll(async () => {
    const plugin = await implementation.plugin('bundle-publisher');
    catalog = await loadServer(host, [pluginConfig({ type: 'BundlePublisher', name: 'press', ...plugin })]);
    publisher = requireLoaded(catalog.bundlePublishers[0]);
  });
  afterAll(() => catalog?.[Symbol.asyncDispose]());

  test('gets the whole bundle (§8.6)', async () => {
    await publisher.publishBundle(SAMPLE_BUNDLE, signal);
    await eventually(() =>
      expect(host.records).toContainEqual(
        expect.objectContaining({
          message: 'published',
          fields: expect.objectContaining({ plugin_name: 'press', bundle: describeBundle(SAMPLE_BUNDLE) }),
        }),
      ),
    );
  });

  test('a failure has its code and the prefix (§9)', async () => {
    const refused = publisher.publishBundle({ ...SAMPLE_BUNDLE, refreshHintSeconds: 13 }, signal);
    await expect(refused).rejects.toMatchObject({
      status: Status.Unavailable,
      message: 'bundlepublisher(press): nobody takes that bundle',
    });
  });

  test('one whose process was killed publishes once it runs again', async () => {
    const pidOf = () => requireLoaded(catalog.plugins.find(({ name }) => name === 'press')?.pid);
    const killed = pidOf();
    process.kill(killed, 'SIGKILL');
    await publisher.publishBundle(SAMPLE_BUNDLE, signal);
    expect(pidOf()).not.toBe(killed);
  });
});
