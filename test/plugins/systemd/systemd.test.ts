import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PluginCatalog } from '../../../src/plugin-host/catalog.ts';
import type { WorkloadAttestor } from '../../../src/plugin-host/kinds/workload-attestor.ts';
import { builtinPlugins } from '../../harness/built-programs.ts';
import { SystemdMachine } from '../../harness/systemd-machine.ts';
import { JOIN_TOKEN, pluginConfig, TestHost } from '../../plugin-host/go-plugins.ts';

const { signal } = new AbortController();

describe.runIf(process.getuid?.() === 0)('the attestor, as a process, and a real systemd', () => {
  let machine: SystemdMachine;
  let catalog: PluginCatalog;
  let attestor: WorkloadAttestor;

  beforeAll(async () => {
    machine = await SystemdMachine.start({
      units: {
        'web.service': '[Service]\nExecStart=/usr/bin/sleep 600\n',
        'worker@.service': '[Service]\nExecStart=/usr/bin/tail -f /dev/null\n',
        'worker@1.service': '[Service]\nExecStart=/usr/bin/tail -f /dev/null\n',
      },
    });
    const text = `dbus_socket_path = "${machine.busPath}"`;
    catalog = await new TestHost().load(
      'agent',
      [
        JOIN_TOKEN,
        pluginConfig({ type: 'KeyManager', name: 'memory' }),
        pluginConfig({ type: 'WorkloadAttestor', name: 'systemd', data: { text } }),
      ],
      { builtins: builtinPlugins('agent') },
    );
    [attestor] = catalog.workloadAttestors as readonly [WorkloadAttestor];
  });
  afterAll(async () => {
    await catalog?.[Symbol.asyncDispose]();
    await machine?.[Symbol.asyncDispose]();
  });

  const valuesOf = async (pid: number) => (await attestor.attest(pid, signal)).map(({ value }) => value);
  /** What systemd told the process itself. */
  const invocationOf = async (hostPid: number) =>
    /(?:^|\0)INVOCATION_ID=([0-9a-f]{32})\0/.exec(await readFile(`/proc/${hostPid}/environ`, 'latin1'))?.[1];

  test.each([
    ['sleep', 'web.service'],
    ['tail', 'worker@1.service'],
  ])('tells the unit of %s', async (program, unit) => {
    const { hostPid, pid } = await machine.findProcess(program);
    expect(await valuesOf(pid)).toEqual([
      `id:${unit}`,
      `fragment_path:/etc/systemd/system/${unit}`,
      `invocation_id:${await invocationOf(hostPid)}`,
    ]);
  });

  test('another run of a unit has another invocation ID, and the process of the first is nobody', async () => {
    const first = await machine.findProcess('sleep');
    const before = await valuesOf(first.pid);
    await machine.run('systemctl', 'restart', 'web.service');
    const second = await machine.findProcess('sleep');
    const after = await valuesOf(second.pid);
    expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
    expect(after[2]).toBe(`invocation_id:${await invocationOf(second.hostPid)}`);
    expect(after[2]).not.toBe(before[2]);
    expect(await valuesOf(first.pid)).toEqual([]);
  });

  test('what is not of a file and was never started has neither a path nor a run', async () => {
    expect(await valuesOf(1)).toEqual(['id:init.scope']);
  });

  test('many that ask at once are all told', async () => {
    const { pid } = await machine.findProcess('tail');
    const all = await Promise.all(Array.from({ length: 200 }, () => valuesOf(pid)));
    expect(new Set(all.map(([id]) => id))).toEqual(new Set(['id:worker@1.service']));
  });

  test.each([
    ['a bus that is started again', ['restart', 'dbus.service']],
    ['systemd that executes itself again', ['daemon-reexec']],
  ])('%s is waited for by those who ask meanwhile', async (_what, command) => {
    const { pid } = await machine.findProcess('tail');
    let isOver = false;
    const again = machine.run('systemctl', ...command).finally(() => {
      isOver = true;
    });
    while (!isOver) expect(await valuesOf(pid)).toContain('id:worker@1.service');
    await again;
    expect(await valuesOf(pid)).toContain('id:worker@1.service');
  });
});
