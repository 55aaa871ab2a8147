import { createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { askAttestors } from '../../src/agent/workloads/attest-workload.ts';
import { builtinPlugins } from '../harness/built-programs.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { JOIN_TOKEN, pluginConfig, TestHost } from '../plugin-host/go-plugins.ts';

test('an attestor that never answers has its own time, and takes nothing from the others', async () => {
  await using folder = await createTemporaryFolder();
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => sockets.add(socket));
  const path = folder.join('bus');
  await new Promise<void>((resolve) => silent.listen(path, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const text = `dbus_socket_path = "${path}"`;
  const slow = pluginConfig({ type: 'WorkloadAttestor', name: 'systemd', data: { text }, attestTimeoutSeconds: 0.3 });
  await using catalog = await new TestHost().load(
    'agent',
    [
      JOIN_TOKEN,
      pluginConfig({ type: 'KeyManager', name: 'memory' }),
      slow,
      pluginConfig({ type: 'WorkloadAttestor', name: 'unix' }),
    ],
    { builtins: builtinPlugins('agent') },
  );
  const { signal } = new AbortController();
  const outcomes = await askAttestors(process.pid, signal, catalog.workloadAttestors);
  const [systemd, unix] = outcomes;
  expect([systemd?.name, systemd?.selectors]).toEqual(['systemd', []]);
  expect(systemd?.error).toMatchObject({ message: 'workloadattestor(systemd): no answer within 300 ms' });
  expect(unix?.selectors).toContainEqual({ type: 'unix', value: `uid:${process.getuid?.()}` });
});
