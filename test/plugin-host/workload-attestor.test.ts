import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import { Status } from '../../src/spiffe/status.ts';
import { describeWithGo } from '../harness/requires.ts';
import { goPlugin, JOIN_TOKEN, pluginConfig, TestHost } from './go-plugins.ts';

describeWithGo('a workload attestor made with SPIRE’s SDK', () => {
  let catalog: PluginCatalog;
  const { signal } = new AbortController();

  beforeAll(async () => {
    const command = await goPlugin('workload-attestor');
    catalog = await new TestHost().load('agent', [
      pluginConfig({ type: 'KeyManager', name: 'km', command: await goPlugin('key-manager'), args: ['agent'] }),
      JOIN_TOKEN,
      pluginConfig({ type: 'WorkloadAttestor', name: 'by_pid', command }),
      pluginConfig({ type: 'WorkloadAttestor', name: 'by_reference', command, args: ['reference'] }),
    ]);
  });
  afterAll(async () => {
    await catalog?.[Symbol.asyncDispose]();
  });

  const attestor = (name: string) => {
    const found = catalog.workloadAttestors.find((one) => one.name === name);
    if (found === undefined) throw new Error(`${name} was not loaded`);
    return found;
  };

  test('finds the selectors of a process (§8.9)', async () => {
    expect(await attestor('by_pid').attest(process.pid, signal)).toContainEqual({
      type: 'by_pid',
      value: `pid:${process.pid}`,
    });
  });

  test('is asked by reference where it knows nothing else (§8.9)', async () => {
    for (let call = 0; call < 2; call++) {
      expect(await attestor('by_reference').attest(process.pid, signal)).toContainEqual({
        type: 'by_reference',
        value: 'by:reference',
      });
    }
  });

  test.each(['by_pid', 'by_reference'])('%s refuses with its code and the prefix (§9)', async (name) => {
    await expect(attestor(name).attest(2 ** 31 - 1, signal)).rejects.toMatchObject({
      status: Status.NotFound,
      message: `workloadattestor(${name}): no process 2147483647`,
    });
  });

  test.each([0, -1, 1.5, 2 ** 31])('process ID %d is refused before the plugin sees it', async (pid) => {
    await expect(attestor('by_pid').attest(pid, signal)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  });

  test('an agent that attests with a join token has no node attestor, and no process for it', () => {
    expect(catalog.agentNodeAttestor).toBeUndefined();
    expect(catalog.plugins).toContainEqual({
      type: 'NodeAttestor',
      name: 'join_token',
      builtin: true,
      state: 'internal',
    });
  });
});
