import { readFile } from 'node:fs/promises';
import { expect, test, vi } from 'vitest';
import { DockerEngine } from '../../harness/docker-engine.ts';
import { NODE_OPTIONS, nodeCommand } from '../../harness/node-in-container.ts';
import { LoadedDockerPlugin } from './loaded-plugin.ts';

vi.setConfig({ testTimeout: 90_000 });

test('cgroups of version 2 alone: one line names the container', async () => {
  await using engine = await DockerEngine.start({ cgroup2: true });
  const { id, pid } = await engine.commands.start({ options: ['--label', 'a=b', '--cgroupns', 'private'] });
  const lines = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).split('\n');
  expect(lines.filter((line) => line.includes(id))).toEqual([`0::/docker/${id}`]);
  await using plugin = await LoadedDockerPlugin.load(`docker_socket_path = "unix://${engine.socketPath}"`);
  expect(await plugin.attest(pid)).toContain('docker:label:a:b');

  // From inside of another container's cgroup namespace its path begins with what is beside it.
  const reader = {
    options: ['--pid', 'host', '--cgroupns', 'private', '--cap-add', 'SYS_PTRACE', ...NODE_OPTIONS],
    folder: ['--volume', `${engine.folder.path}:${engine.folder.path}`],
  };
  const options = [...reader.options, ...reader.folder];
  expect(await engine.commands.runOnce({ options, command: ['/bin/cat', `/proc/${pid}/cgroup`] })).toContain(
    `0::/../${id}`,
  );
  const text = `docker_socket_path = "unix://${engine.socketPath}"`;
  const command = nodeCommand('test/plugins/docker/attest.main.ts', text, String(pid));
  expect(JSON.parse(await engine.commands.runOnce({ options, command }))).toContain('docker:label:a:b');
});
