import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Status } from '../../src/spiffe/status.ts';
import { pluginConfig, TestHost } from './go-plugins.ts';
import { loadServer, requireLoaded } from './implementations.ts';

/** A host that took one message whole would have grown by ten times as much. */
const MAX_GROWTH_BYTES = 100 * 2 ** 20;

test('a plugin that answers with messages of 1 GiB is refused each, and fills nobody’s memory', async () => {
  const host = new TestHost();
  const args = [join(import.meta.dirname, 'huge-message-plugin.ts')];
  const config = pluginConfig({ type: 'UpstreamAuthority', name: 'huge', command: process.execPath, args });
  const { signal } = new AbortController();
  {
    await using catalog = await loadServer(host, [config]);
    const upstream = requireLoaded(catalog.upstreamAuthority);
    const before = process.memoryUsage().rss;
    for (let call = 0; call < 3; call++) {
      const minting = upstream.mintX509Ca({ csr: Uint8Array.of(1), preferredTtlSeconds: 0 }, signal);
      await expect(minting).rejects.toMatchObject({
        status: Status.ResourceExhausted,
        message: expect.stringMatching(/^upstreamauthority\(huge\): .*(?:larger|more) than/),
      });
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(MAX_GROWTH_BYTES);
    expect(catalog.plugins.find(({ name }) => name === 'huge')).toMatchObject({ state: 'running', restarts: 0 });
    expect(await catalog.keyManager.getKeys()).toEqual([]);
  }
  expect(host.records).toContainEqual(
    expect.objectContaining({
      level: 'warning',
      message: 'plugin was not deinitialized',
      fields: expect.objectContaining({ plugin_name: 'huge', error: expect.stringMatching(/(?:larger|more) than/) }),
    }),
  );
});
