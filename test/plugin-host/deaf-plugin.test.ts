import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BundlePublisherDefinition } from '../../src/gen/spire/plugin/server/bundlepublisher/v1/bundlepublisher.ts';
import { watchHealth } from '../../src/plugin-host/health-watch.ts';
import { PluginGeneration } from '../../src/plugin-host/plugin-generation.ts';
import { DEFAULT_DEADLINES, type PluginDeadlines, type PluginSpec } from '../../src/plugin-host/plugin-spec.ts';
import { Sandbox } from '../../src/plugin-host/sandbox/sandbox.ts';
import { toWireBundle } from '../../src/rpc/plugin-bundle.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { TestHost } from './go-plugins.ts';
import { SAMPLE_BUNDLE } from './sample-bundle.ts';

const deadlines: PluginDeadlines = { ...DEFAULT_DEADLINES, deinitMs: 300, graceMs: 300 };

async function start(deafness: string, host: TestHost): Promise<PluginGeneration> {
  const spec: PluginSpec = {
    side: 'server',
    type: 'BundlePublisher',
    name: 'deaf',
    builtin: false,
    command: process.execPath,
    args: [join(import.meta.dirname, 'deaf-plugin.ts'), deafness],
    checksum: undefined,
    data: undefined,
    autoMtls: false,
  };
  const { log } = host;
  return await PluginGeneration.start(spec, {
    trustDomain: parseTrustDomain('example.org'),
    hostServices: [],
    deadlines,
    sandbox: new Sandbox({ dataDir: undefined, log }),
    log,
  });
}

test('a plugin that leaves the requests of calls unread, and answers health checks, is killed', async () => {
  const host = new TestHost();
  await using generation = await start('requests', host);
  await generation.requireHealthy(5_000);
  const failure = await generation
    .client(BundlePublisherDefinition)
    .publishBundle({ bundle: toWireBundle(SAMPLE_BUNDLE) }, { deadlineMs: 500 })
    .catch((error: unknown) => error);
  await generation.explain(failure);
  await generation.ended;
  expect(host.records.map(({ message }) => message)).toContain('plugin reads no requests and is killed');
});

test('a plugin that leaves unread what comes by the connection of streams is killed', async () => {
  const host = new TestHost();
  await using generation = await start('streams', host);
  await watchHealth(generation, { intervalMs: 50, deadlineMs: 500 }, host.log);
  expect(host.records.map(({ message }) => message)).toContain('plugin does not answer its health check and is killed');
});

test('one that reads all is left alone', async () => {
  const host = new TestHost();
  await using generation = await start('', host);
  await generation.requireHealthy(5_000);
  await generation
    .client(BundlePublisherDefinition)
    .publishBundle({ bundle: toWireBundle(SAMPLE_BUNDLE) }, { deadlineMs: 5_000 });
  expect(generation.exit).toBeUndefined();
});
