import { randomInt } from 'node:crypto';
import { chown, readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { MadeCgroup } from '../../harness/cgroups.ts';
import { TestProcess } from '../../harness/child-process.ts';
import type { RunningContainer } from '../../harness/container-engine.ts';
import { DockerEngine } from '../../harness/docker-engine.ts';
import { eventually } from '../../harness/eventually.ts';
import { LoadedDockerPlugin } from './loaded-plugin.ts';

vi.setConfig({ testTimeout: 60_000 });

const CHANGES = ['ENV BASE=of-the-image', 'LABEL org.example.of=image'];
const OPTIONS = ['--label', 'org.example.team=a:b', '--env', 'STAGE=prod=1', '--env', 'EMPTY='];

const resources = new AsyncDisposableStack();
let engine: DockerEngine;
let plugin: LoadedDockerPlugin;
let container: RunningContainer;
let expected: readonly string[];

beforeAll(async () => {
  engine = resources.use(await DockerEngine.start({ changes: CHANGES }));
  plugin = resources.use(await LoadedDockerPlugin.load(`docker_socket_path = "unix://${engine.socketPath}"`));
  container = await engine.commands.start({ options: OPTIONS });
  expected = [
    'docker:env:BASE=of-the-image',
    'docker:env:EMPTY=',
    'docker:env:STAGE=prod=1',
    `docker:image_config_digest:${engine.imageId}`,
    'docker:image_id:registry.test/team/workload:1.2',
    'docker:label:org.example.of:image',
    'docker:label:org.example.team:a:b',
  ];
});
afterAll(() => resources.disposeAsync());

describe('a container of Docker', () => {
  test('has its image, the digest of that, its labels and its environment as selectors', async () => {
    expect(await plugin.attest(container.pid)).toEqual(expected);
  });

  test('and what runs in it beside its first process has the same', async () => {
    const { commands } = engine;
    const seconds = ownSeconds();
    const beside = commands.call('exec', container.id, '/bin/sh', '-c', `exec sleep ${seconds}`).catch(() => {});
    const pid = await eventually(() => findProcess(`sleep\x00${seconds}`));
    expect(await plugin.attest(pid)).toEqual(expected);
    process.kill(pid, 'SIGKILL');
    await beside;
  });

  test('a process of the machine has none, and no error', async () => {
    expect(await plugin.attest(process.pid)).toEqual([]);
  });

  test('a container that ended is nobody', async () => {
    const ended = await engine.commands.start();
    await engine.commands.call('rm', '-f', ended.id);
    await expect(plugin.attest(ended.pid)).rejects.toThrow(`cannot read /proc/${ended.pid}: the process is gone`);
  });
});

describe('a process that says it is in a container', () => {
  test('by cgroups that somebody named after it, gets nothing', async () => {
    await using pretender = await TestProcess.start('/bin/sleep', ['600']);
    await using cgroup = new MadeCgroup(`pretended-${pretender.pid}/docker/${container.id}`);
    await cgroup.take(pretender.pid);
    await expect(plugin.attest(pretender.pid)).rejects.toThrow(
      `the cgroups of process ${pretender.pid} name container ${container.id}, but they are not those of process ${container.pid}, ` +
        'which its runtime says is the container’s first: the agent has to see processes by the same numbers as the runtime',
    );
    await pretender.kill();
  });

  test('by cgroups that it mounted, gets nothing', async () => {
    const [, controller] =
      /^\d+:([^:]*):.*\/docker\//m.exec(await readFile(`/proc/${container.pid}/cgroup`, 'utf8')) ?? [];
    const folder = `/sys/fs/cgroup/${controller?.replace('name=', '')}/docker/${container.id}`;
    const script = `mount --bind '${folder}' /mnt && echo mounted && read _`;
    await using pretender = await TestProcess.start('unshare', ['--mount', '/bin/sh', '-c', script]);
    expect(await pretender.readLine()).toBe('mounted');
    await expect(plugin.attest(pretender.pid)).rejects.toThrow(
      `the mounts of process ${pretender.pid} name container ${container.id}, but they are not those of process`,
    );
  });

  test('by its mounts alone, is in it where the runtime’s own process has the very same', async () => {
    const seconds = ownSeconds();
    const command = ['/bin/sh', '-c', `sleep ${seconds} & wait`];
    const moved = await engine.commands.start({ options: OPTIONS, command });
    const child = await eventually(() => findProcess(`sleep\x00${seconds}`));
    const root = new MadeCgroup('');
    for (const pid of [moved.pid, child]) {
      await root.take(pid);
      expect(await readFile(`/proc/${pid}/cgroup`, 'utf8')).not.toContain(moved.id);
      expect(await plugin.attest(pid)).toEqual(expected);
    }
  });
});

describe('Docker’s socket', () => {
  test('that is not there is missed in a sentence that says what to do', async () => {
    const path = engine.folder.join('absent.sock');
    await using other = await LoadedDockerPlugin.load(`docker_socket_path = "unix://${path}"`);
    await expect(other.attest(container.pid)).rejects.toThrow(
      `Docker has no socket at ${path}: start Docker, or set docker_socket_path to where it listens`,
    );
  });

  test('that the agent may not use is, too', async () => {
    const path = engine.socketPath;
    await chown(path, 12_345, 12_345);
    try {
      await using other = await LoadedDockerPlugin.load(`docker_socket_path = "${path}"`);
      await expect(other.attest(container.pid)).rejects.toThrow(
        `the agent may not connect to Docker at ${path}: run the agent as root, or make its user a member of the group`,
      );
    } finally {
      await chown(path, 0, 0);
    }
  });

  test('that is asked for a version of its API which it has not tells so', async () => {
    const text = `docker_socket_path = "unix://${engine.socketPath}"\ndocker_version = "9.99"`;
    await using unknown = await LoadedDockerPlugin.load(text);
    await expect(unknown.attest(container.pid)).rejects.toThrow(
      /answered with status 400: "client version 9.99 is too new/,
    );
  });

  test('of another Docker leads to the container that it does not know', async () => {
    await using stranger = await TestProcess.start('/bin/sleep', ['600']);
    const id = 'ab'.repeat(32);
    await using cgroup = new MadeCgroup(`strange-${stranger.pid}/docker-${id}.scope`);
    await cgroup.take(stranger.pid);
    await expect(plugin.attest(stranger.pid)).rejects.toThrow(
      `Docker at ${engine.socketPath} knows no container ${id}: is there another Docker, with a socket of its own?`,
    );
    await stranger.kill();
  });

  test('a container of containerd’s that Docker does not know is no fault', async () => {
    await using stranger = await TestProcess.start('/bin/sleep', ['600']);
    await using cgroup = new MadeCgroup(`strange-${stranger.pid}/kubepods/${'cd'.repeat(32)}`);
    await cgroup.take(stranger.pid);
    expect(await plugin.attest(stranger.pid)).toEqual([]);
    await stranger.kill();
  });
});

describe('where it looks', () => {
  const socket = () => `docker_socket_path = "unix://${engine.socketPath}"\nuse_new_container_locator = false`;

  test('can be patterns', async () => {
    const patterns = 'container_id_cgroup_matchers = ["/docker/<id>", "/my.slice/*/<id>/*"]';
    await using fitting = await LoadedDockerPlugin.load(`${socket()}\n${patterns}\ndocker_version = "1.40"`);
    expect(await fitting.attest(container.pid)).toEqual(expected);
  });

  test('can be the older rule, which wants the word docker; and is logged, where that is wanted', async () => {
    await using old = await LoadedDockerPlugin.load(`${socket()}\nverbose_container_locator_logs = true`);
    expect(await old.attest(container.pid)).toEqual(expected);
    await using above = new MadeCgroup(`/parent-${container.pid}`);
    await above.make();
    const parent = await engine.commands.start({ options: ['--cgroup-parent', `/parent-${container.pid}`] });
    expect(await old.attest(parent.pid)).toEqual([]);
    expect(await plugin.attest(parent.pid)).toContain('docker:image_id:registry.test/team/workload:1.2');
    await engine.commands.call('rm', '-f', parent.id);
    const paths = expect.stringContaining(`/docker/${container.id}`);
    const fields = expect.objectContaining({ pid: container.pid, file: 'cgroup', paths });
    await eventually(() => {
      expect(old.records).toContainEqual(expect.objectContaining({ message: 'looked for a container', fields }));
    });
    expect(plugin.records.map(({ message }) => message)).not.toContain('looked for a container');
  });
});

/** Longer than the tests, and nobody else's: the same tests may run beside these. */
const ownSeconds = () => `600.${randomInt(10 ** 9)}`;

async function findProcess(commandLine: string): Promise<number> {
  for (const name of await readdir('/proc')) {
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (line.startsWith(commandLine)) return Number(name);
  }
  throw new Error(`no process ${commandLine}`);
}
