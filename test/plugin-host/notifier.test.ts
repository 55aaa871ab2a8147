import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import type { Notifier } from '../../src/plugin-host/kinds/notifier.ts';
import { Status } from '../../src/spiffe/status.ts';
import { eventually } from '../harness/eventually.ts';
import { describeBundle } from '../interop/sdk-plugins/describe.ts';
import { pluginConfig, TestHost } from './go-plugins.ts';
import { describePlugins, loadServer, requireLoaded } from './implementations.ts';
import { SAMPLE_BUNDLE } from './sample-bundle.ts';

describePlugins('a notifier', (implementation) => {
  const { signal } = new AbortController();
  const host = new TestHost();
  let catalog: PluginCatalog;
  beforeAll(async () => {
    catalog = await loadServer(host, [
      pluginConfig({ type: 'Notifier', name: 'told', ...(await implementation.plugin('notifier')) }),
      pluginConfig({ type: 'Notifier', name: 'silent', ...(await implementation.plugin('notifier', 'silent')) }),
    ]);
  });
  afterAll(() => catalog?.[Symbol.asyncDispose]());

  const notifier = (name: string): Notifier => requireLoaded(catalog.notifiers.find((one) => one.name === name));

  test.each([
    ['notify', 'updated'],
    ['notifyAndAdvise', 'loaded'],
  ] as const)('%s hands over the whole bundle (§8.5)', async (method, message) => {
    await notifier('told')[method](SAMPLE_BUNDLE, signal);
    await eventually(() =>
      expect(host.records).toContainEqual(
        expect.objectContaining({
          level: 'info',
          message,
          fields: expect.objectContaining({ plugin_name: 'told', bundle: describeBundle(SAMPLE_BUNDLE) }),
        }),
      ),
    );
    if (implementation.made === 'ours') expect(host.metrics).toContain(`notifier.${message}`);
  });

  test.each(['notify', 'notifyAndAdvise'] as const)(
    'a refusal of %s has its code and the prefix (§9)',
    async (method) => {
      const refused = notifier('told')[method]({ ...SAMPLE_BUNDLE, refreshHintSeconds: 13 }, signal);
      await expect(refused).rejects.toMatchObject({
        status: Status.PermissionDenied,
        message: 'notifier(told): not that bundle',
      });
    },
  );

  test.each(['notify', 'notifyAndAdvise'] as const)('%s of a notifier that has no ears (§8.5)', async (method) => {
    const told = notifier('silent')[method](SAMPLE_BUNDLE, signal);
    if (implementation.made === 'ours') await told;
    else await expect(told).rejects.toMatchObject({ status: Status.Unimplemented });
  });

  test('the signal ends a call', async () => {
    await expect(notifier('told').notify(SAMPLE_BUNDLE, AbortSignal.abort())).rejects.toMatchObject({
      status: Status.Cancelled,
    });
  });
  test('one whose process was killed is told once it runs again', async () => {
    const { pid } = requireLoaded(catalog.plugins.find(({ name }) => name === 'told'));
    process.kill(requireLoaded(pid), 'SIGKILL');
    await notifier('told').notify(SAMPLE_BUNDLE, signal);
    expect(requireLoaded(catalog.plugins.find(({ name }) => name === 'told')).pid).not.toBe(pid);
  });
});
