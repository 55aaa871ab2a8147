import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { MadeCgroup } from '../../harness/cgroups.ts';
import { PodmanEngine } from '../../harness/podman-engine.ts';
import { LoadedDockerPlugin } from './loaded-plugin.ts';

vi.setConfig({ testTimeout: 60_000 });

/** A user that no machine has. */
const UID = 900_000_000 + process.pid;
const PARENT = `/user.slice/user-${UID}.slice/user@${UID}.service/podman`;
const OPTIONS = ['--label', 'org.example.team=a', '--env', 'STAGE=prod'];

const resources = new AsyncDisposableStack();
let engine: PodmanEngine;
let plugin: LoadedDockerPlugin;

beforeAll(async () => {
  engine = resources.use(await PodmanEngine.start(['ENV BASE=of-the-image']));
  const socket = await engine.serve('podman.sock');
  plugin = resources.use(await LoadedDockerPlugin.load(`podman_socket_path = "unix://${socket}"`));
});
afterAll(() => resources.disposeAsync());

const expected = () =>
  expect.arrayContaining([
    'docker:env:BASE=of-the-image',
    'docker:env:STAGE=prod',
    `docker:image_config_digest:${engine.imageId}`,
    'docker:image_id:registry.test/team/workload:1.2',
    'docker:label:org.example.team:a',
  ]);

test('a container of Podman has its image, the digest of that, its labels and its environment as selectors', async () => {
  const { pid } = await engine.commands.start({ options: OPTIONS });
  expect(await plugin.attest(pid)).toEqual(expected());
});

test('a container in the slice of a user is asked for at that user’s socket, where that is configured', async () => {
  await using parent = new MadeCgroup(PARENT);
  await parent.make();
  const { pid } = await engine.commands.start({ options: [...OPTIONS, '--cgroup-parent', PARENT] });
  await expect(plugin.attest(pid)).rejects.toThrow(
    `the container belongs to user ${UID}, whose own Podman would say what it is, and could say anything: ` +
      'set podman_socket_path_template if such users are trusted with that',
  );
  const template = `podman_socket_path_template = "unix://${engine.folder.join('users/%d/podman.sock')}"`;
  await using trusting = await LoadedDockerPlugin.load(template);
  const absent = engine.folder.join(`users/${UID}/podman.sock`);
  await expect(trusting.attest(pid)).rejects.toThrow(`Podman has no socket at ${absent}`);
  await engine.serve(`users/${UID}/podman.sock`); // made later than the plugin, as when a user logs in
  expect(await trusting.attest(pid)).toEqual(expected());
  await engine.commands.removeAll();
});
