import { join } from 'node:path';
import { Logger } from '../../src/log/logger.ts';
import { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { measure } from '../driver/load.ts';
import { TRUST_DOMAIN } from '../process/server.ts';
import type { LoadResult } from '../results.ts';

const DIGEST = new Uint8Array(32).fill(7);
const PLUGIN = { type: 'KeyManager', name: 'memory', args: [], data: undefined, enabled: true, autoMtls: false };
const DATA_STORE = { ...PLUGIN, type: 'DataStore', name: 'sql' };

/** `SignData` of a P-256 key, from the host through the key manager plugin and back; the host is this process. */
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
