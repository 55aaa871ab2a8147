import { expect, test, vi } from 'vitest';
import type { PluginConfig } from '../../src/config/plugins.ts';
import { PluginTelemetry } from '../../src/plugin-host/plugin-telemetry.ts';
import { MetricFilter } from '../../src/telemetry/metric-filter.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { MAX_LINES } from '../../src/telemetry/series-budget.ts';
import { eventually } from '../harness/eventually.ts';
import { findSeries, readExposition } from '../harness/exposition.ts';
import { describeWithGo } from '../harness/requires.ts';
import { goPlugin, pluginConfig, SQL, TestHost } from './go-plugins.ts';

vi.setConfig({ testTimeout: 60_000 });

/** A host that measures, with metrics whose names begin with `host_`. */
async function load(...plugins: readonly PluginConfig[]) {
  const filter = new MetricFilter({ allowedPrefixes: [], blockedPrefixes: [], allowedLabels: [], blockedLabels: [] });
  const metrics = new Metrics({ prefix: 'host', labels: [], filter });
  const telemetry = new PluginTelemetry(metrics);
  const host = new TestHost();
  const hostServices = host.hostServices.slice(0, 1); // without its own Metrics
  const catalog = await host.load('server', [SQL, ...plugins], { telemetry, hostServices });
  telemetry.watch(() => catalog.plugins);
  return {
    host,
    catalog,
    scrape: async () => await readExposition(await metrics.render()),
    [Symbol.asyncDispose]: () => catalog[Symbol.asyncDispose](),
  };
}

const keyManager = async (name: string) =>
  pluginConfig({ type: 'KeyManager', name, command: await goPlugin('key-manager') });
const attestor = async (name: string, text: string) =>
  pluginConfig({ type: 'NodeAttestor', name, command: await goPlugin('server-node-attestor'), data: { text } });

const KM = { plugin_type: 'KeyManager', plugin_name: 'k-m.1' };

describeWithGo('metrics of plugins written in Go', () => {
  test('one that is killed five times is unhealthy by name, and well again once it has recovered', async () => {
    await using program = await load(await keyManager('k-m.1'), await attestor('na', ''));
    const { catalog, scrape } = program;
    const own = async (name: string) => findSeries(await scrape(), `host_plugin_${name}`, KM).value;
    expect([await own('up'), await own('unhealthy'), await own('generation'), await own('restarts')]).toEqual([
      1, 0, 1, 0,
    ]);
    expect(await own('memory_bytes')).toBeGreaterThan(1_000_000);
    const kill = () => process.kill(catalog.plugins[0]?.pid ?? Number.NaN, 'SIGKILL');
    for (let round = 1; round < 5; round++) {
      kill();
      await eventually(() => expect(catalog.plugins[0]).toMatchObject({ generation: round + 1 }));
    }
    kill();
    await eventually(async () => expect(await own('unhealthy')).toBe(1));
    const unhealthy = await scrape();
    expect(unhealthy.filter(({ name, value }) => name === 'host_plugin_unhealthy' && value === 1)).toHaveLength(1);
    expect(findSeries(unhealthy, 'host_plugin_up', KM).value).toBe(0);
    expect(findSeries(unhealthy, 'host_plugin_up', { plugin_name: 'na' }).value).toBe(1);
    expect(() => findSeries(unhealthy, 'host_plugin_memory_bytes', KM)).toThrow(/^0 series/);
    await eventually(() => expect(catalog.plugins[0]).toMatchObject({ generation: 6 }));
    const now = performance.now.bind(performance);
    using _aMinuteLater = vi.spyOn(performance, 'now').mockImplementation(() => now() + 60_000);
    expect(await own('unhealthy')).toBe(0);
    expect([await own('up'), await own('generation'), await own('restarts')]).toEqual([1, 6, 5]);
  });

  test('calls are counted and timed, by method and status, through generations', async () => {
    await using program = await load(await keyManager('k-m.1'));
    const { catalog, scrape } = program;
    const key = await catalog.keyManager.generateKey('k', 'ec-p256');
    for (let n = 0; n < 3; n++) await key.signDigest(new Uint8Array(32), 'sha256');
    process.kill(catalog.plugins[0]?.pid ?? Number.NaN, 'SIGKILL');
    await expect(key.signDigest(new Uint8Array(32), 'sha256')).rejects.toThrow(/keymanager/);
    const next = await catalog.keyManager.generateKey('k', 'ec-p256');
    await next.signDigest(new Uint8Array(32), 'sha256');
    const all = await scrape();
    const sign = { ...KM, method: 'SignData' };
    expect(findSeries(all, 'host_plugin_rpc', { ...sign, status: 'OK' }).value).toBe(4);
    expect(findSeries(all, 'host_plugin_rpc', { ...sign, status: 'NotFound' }).value).toBe(1);
    expect(findSeries(all, 'host_plugin_rpc', { ...KM, method: 'GenerateKey', status: 'OK' }).value).toBe(2);
    const elapsed = findSeries(all, 'host_plugin_rpc_elapsed_time', { ...sign, status: 'OK' });
    expect(elapsed).toMatchObject({ kind: 'HISTOGRAM', value: 4 });
    expect(elapsed.sum).toBeGreaterThan(0);
  });

  test('streams are counted once, when they end', async () => {
    await using program = await load(await keyManager('k-m.1'), await attestor('na', ''));
    const [attest] = program.catalog.serverNodeAttestors;
    const attestation = attest?.attest(new Uint8Array([1]), async () => new Uint8Array(32), {
      csrPublicKey: new Uint8Array(1),
      signal: new AbortController().signal,
    });
    await expect(attestation).rejects.toThrow(/nodeattestor\(na\)/);
    const rpc = (await program.scrape()).filter(
      ({ name, labels }) => name === 'host_plugin_rpc' && labels.method === 'Attest',
    );
    expect(rpc).toEqual([
      expect.objectContaining({
        labels: expect.objectContaining({ plugin_name: 'na', status: 'PermissionDenied' }),
        value: 1,
      }),
    ]);
  });

  test('what a plugin measures is there under its key, with its name, whatever it says', async () => {
    await using program = await load(
      await keyManager('k-m.1'),
      await attestor('one', 'measure = true'),
      await attestor('two', 'measure = true'),
    );
    const all = await program.scrape();
    for (const name of ['one', 'two']) {
      const labels = { plugin_type: 'NodeAttestor', plugin_name: name };
      expect(findSeries(all, 'host_books_lent', labels)).toMatchObject({
        kind: 'COUNTER',
        labels: { ...labels, shelf_mark: 'a_b' },
        value: 2,
      });
      expect(findSeries(all, 'host_pages', labels)).toMatchObject({ kind: 'HISTOGRAM', value: 1, sum: 300 });
      expect(findSeries(all, 'host_readers', labels)).toMatchObject({ kind: 'GAUGE', value: 7.5 });
      const open = findSeries(all, 'host_open', labels);
      expect(open.value).toBe(1);
      expect(open.sum).toBeGreaterThanOrEqual(1_000);
      expect(open.sum).toBeLessThan(20_000);
      expect(findSeries(all, 'host_plugin_dropped_metrics', labels).value).toBe(0);
    }
    expect(all.filter(({ name }) => name === 'host_shelf')).toEqual([]); // EmitKey: no such kind in Prometheus
  });

  test('one that floods the host with labels is capped, and told of in the log once; others are not', async () => {
    await using program = await load(
      await keyManager('k-m.1'),
      await attestor('flood', `flood = ${MAX_LINES + 500}`),
      await attestor('calm', 'measure = true'),
    );
    const all = await program.scrape();
    expect(all.filter(({ name }) => name === 'host_flood')).toHaveLength(MAX_LINES);
    expect(findSeries(all, 'host_plugin_dropped_metrics', { plugin_name: 'flood' }).value).toBe(500);
    expect(findSeries(all, 'host_readers', { plugin_name: 'calm' }).value).toBe(7.5);
    const told = program.host.records.filter(({ message }) => message.startsWith('what a plugin measures'));
    expect(told).toEqual([
      expect.objectContaining({
        message: 'what a plugin measures is not kept from here on',
        fields: expect.objectContaining({
          plugin_name: 'flood',
          plugin_type: 'NodeAttestor',
          reason: `more than ${MAX_LINES} lines`,
          metric: 'host_flood',
        }),
      }),
    ]);
  });
});
