import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KubernetesObjectReference, WorkloadPIDReference } from '../../src/gen/spiffe/broker/broker.ts';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import type { WorkloadReference } from '../../src/plugin-host/kinds/workload-attestor.ts';
import { REFERENCE_TYPES } from '../../src/rpc/go-plugin.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { Status } from '../../src/spiffe/status.ts';
import { pluginConfig, TestHost } from './go-plugins.ts';
import { describePlugins, loadAgent } from './implementations.ts';

const toProcess = (pid: number): WorkloadReference => {
  return { typeUrl: REFERENCE_TYPES.process, value: WorkloadPIDReference.encode({ pid }).finish() };
};
const POD: WorkloadReference = {
  typeUrl: REFERENCE_TYPES.kubernetesObject,
  value: KubernetesObjectReference.encode({
    type: { plural: 'pods', group: '' },
    key: { namespace: 'shop', name: 'web-0' },
    uid: '42',
  }).finish(),
};
const UNKNOWN: WorkloadReference = { typeUrl: 'type.googleapis.com/example.Reference', value: Buffer.of(1) };

describePlugins('a workload attestor', ({ made, plugin }) => {
  let catalog: PluginCatalog;
  const { signal } = new AbortController();
  const callerId = parseSpiffeId('spiffe://example.org/broker');

  beforeAll(async () => {
    const byPid = await plugin('workload-attestor', 'pid');
    const byReference = await plugin('workload-attestor', 'reference');
    catalog = await loadAgent(new TestHost(), [
      pluginConfig({ type: 'WorkloadAttestor', name: 'by_pid', ...byPid }),
      pluginConfig({ type: 'WorkloadAttestor', name: 'by_reference', ...byReference }),
    ]);
  });
  afterAll(() => catalog?.[Symbol.asyncDispose]());

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

  test('is asked for a process by reference, and by whom (§8.9)', async () => {
    const selectors = await attestor('by_reference').attestReference(toProcess(process.pid), { callerId, signal });
    for (const value of [`pid:${process.pid}`, 'by:reference', `caller:${callerId}`]) {
      expect(selectors).toContainEqual({ type: 'by_reference', value });
    }
  });

  test('nobody is named where nobody asks for another (§8.9)', async () => {
    const selectors = await attestor('by_reference').attestReference(toProcess(process.pid), { signal });
    expect(selectors?.filter(({ value }) => value.startsWith('caller:'))).toEqual([]);
  });

  test('that takes no references is asked for the process itself (§8.9)', async () => {
    for (let call = 0; call < 2; call++) {
      const selectors = await attestor('by_pid').attestReference(toProcess(process.pid), { callerId, signal });
      expect(selectors).toContainEqual({ type: 'by_pid', value: `pid:${process.pid}` });
    }
  });

  test.each([POD, UNKNOWN])(
    'that takes no references is left out of those to something else, $typeUrl (§8.9)',
    async (reference) => {
      expect(await attestor('by_pid').attestReference(reference, { signal })).toBeUndefined();
    },
  );

  test('that takes references refuses one of a type that it does not know (§8.9)', async () => {
    await expect(attestor('by_reference').attestReference(UNKNOWN, { signal })).rejects.toMatchObject({
      status: Status.InvalidArgument,
      message: expect.stringMatching(
        /^workloadattestor\(by_reference\): .*"type\.googleapis\.com\/example\.Reference"/,
      ),
    });
  });

  test.each(['by_pid', 'by_reference'])('%s refuses with its code and the prefix (§9)', async (name) => {
    const refusal = { status: Status.NotFound, message: `workloadattestor(${name}): no process 2147483647` };
    await expect(attestor(name).attest(2 ** 31 - 1, signal)).rejects.toMatchObject(refusal);
    await expect(attestor(name).attestReference(toProcess(2 ** 31 - 1), { signal })).rejects.toMatchObject(refusal);
  });

  test('one whose process was killed attests once it runs again, either way', async () => {
    const pidOf = () => catalog.plugins.find(({ name }) => name === 'by_pid')?.pid ?? Number.NaN;
    const ask = [
      () => attestor('by_pid').attest(process.pid, signal),
      () => attestor('by_pid').attestReference(toProcess(process.pid), { signal }),
    ];
    for (const attest of ask) {
      const killed = pidOf();
      process.kill(killed, 'SIGKILL');
      expect(await attest()).toContainEqual({ type: 'by_pid', value: `pid:${process.pid}` });
      expect(pidOf()).not.toBe(killed);
    }
  });

  test.each([0, -1, 1.5, 2 ** 31])('process ID %d is refused before the plugin sees it', async (pid) => {
    await expect(attestor('by_pid').attest(pid, signal)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  });

  test.each([
    ['process 0', toProcess(0)],
    ['what does not parse', { typeUrl: REFERENCE_TYPES.process, value: Buffer.of(0xff) }],
  ])('a reference to %s is refused before the plugin sees it', async (_what, reference) => {
    await expect(attestor('by_reference').attestReference(reference, { signal })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    });
  });

  if (made === 'ours') {
    test('a pod is attested with all that the reference says (§8.9)', async () => {
      expect(await attestor('by_reference').attestReference(POD, { callerId, signal })).toEqual(
        ['pods.:shop/web-0/42', `caller:${callerId}`].map((value) => ({ type: 'by_reference', value })),
      );
    });
  } else {
    test('is asked by reference where it knows nothing else (§8.9)', async () => {
      for (let call = 0; call < 2; call++) {
        expect(await attestor('by_reference').attest(process.pid, signal)).toContainEqual({
          type: 'by_reference',
          value: 'by:reference',
        });
      }
    });
  }

  describe('an agent that attests with a join token', () => {
    test('has no node attestor, and no process for it', () => {
      expect(catalog.agentNodeAttestor).toBeUndefined();
      expect(catalog.plugins).toContainEqual({
        type: 'NodeAttestor',
        name: 'join_token',
        builtin: true,
        state: 'internal',
      });
    });
  });
});
