import { join } from 'node:path';
import { Logger } from '../../src/log/logger.ts';
import { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import { PluginTelemetry } from '../../src/plugin-host/plugin-telemetry.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { MetricFilter } from '../../src/telemetry/metric-filter.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { measure } from '../driver/load.ts';
import { TRUST_DOMAIN } from '../process/server.ts';
import type { LoadResult } from '../results.ts';

const DIGEST = new Uint8Array(32).fill(7);
const PLUGIN = { type: 'KeyManager', name: 'memory', args: [], data: undefined, enabled: true, autoMtls: false };
const DATA_STORE = { ...PLUGIN, type: 'DataStore', name: 'sql' };
const NO_FILTER = { allowedPrefixes: [], blockedPrefixes: [], allowedLabels: [], blockedLabels: [] };

/** `SignData` of a P-256 key, from the host through the key manager plugin and back; the host is this process, and counts as the programs do. */
export async function measureSigning(
  dist: string,
  { seconds, callers }: { seconds: number; callers: number },
): Promise<readonly LoadResult[]> {
  await using catalog = await PluginCatalog.load({
    side: 'server',
    plugins: [PLUGIN, DATA_STORE],
    trustDomain: parseTrustDomain(TRUST_DOMAIN),
    builtins: (_type, name) => ({ command: process.execPath, args: [join(dist, 'plugins', `server-${name}.js`)] }),
    hostServices: [],
    telemetry: new PluginTelemetry(new Metrics({ prefix: 'bench', labels: [], filter: new MetricFilter(NO_FILTER) })),
    log: new Logger(() => {}),
  });
  const key = await catalog.keyManager.generateKey('bench', 'ec-p256');
  const processes = [
    { name: 'host', pid: process.pid },
    ...catalog.plugins.flatMap(({ name, pid }) => (pid === undefined ? [] : [{ name: `server-${name}`, pid }])),
  ];
  const results: LoadResult[] = [];
  for (const atOnce of [1, callers]) {
    const name = `sign-hop, ${atOnce} at once`;
    const options = { name, callers: atOnce, seconds, warmUpSeconds: 1, operationsACall: 1, processes };
    results.push(
      await measure(options, async () => {
        await key.signDigest(DIGEST, 'sha256');
      }),
    );
  }
  return results;
}
