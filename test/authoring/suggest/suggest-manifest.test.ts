import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Note, Suggestion } from '../../../src/authoring/suggest/index.ts';
import {
  notesOnManifest,
  suggestManifest,
  toManifestJson,
  toSandboxBlock,
} from '../../../src/authoring/suggest/index.ts';
import { readConfigText } from '../../../src/config/read-config.ts';
import { sandboxConfig } from '../../../src/config/sandbox-config.ts';
import { manifestOf, parsePluginManifest } from '../../../src/plugin-host/sandbox/plugin-manifest.ts';
import type { Sighting } from '../../../src/plugin-host/sandbox/sightings.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
  await mkdir(folder.join('open'));
  await chmod(folder.path, 0o755);
});
afterAll(() => folder[Symbol.asyncDispose]());

const PEAKS = { processes: 9, files: 20, memoryBytes: 50 * 2 ** 20 };

async function suggest(sightings: readonly Sighting[], isComplete = true): Promise<Suggestion> {
  const run = { command: '/opt/mine/plugin', args: ['/opt/mine/settings'], socketFolder: folder.join('sockets') };
  return await suggestManifest({ sightings, peaks: PEAKS, isComplete }, run);
}

const call = (name: string): Sighting => ({ what: 'call', name });
const address = (access: 'connect' | 'bind', ip: string, port: number): Sighting => ({
  what: 'address',
  access,
  ip,
  port,
});
const path = (access: 'read' | 'write' | 'create', name: string, kind: 'file' | 'none' = 'file'): Sighting => {
  return { what: 'path', access, kind, path: name };
};

describe('capabilities, each with the call that led to it', () => {
  const rows: readonly (readonly [string, Sighting, string])[] = [
    ['KILL', call('kill'), 'it called kill'],
    ['CHOWN', call('chown'), 'it called chown'],
    ['SETUID', call('setuid'), 'it called setuid'],
    ['SETGID', call('setgroups'), 'it called setgroups'],
    ['MKNOD', call('mknod'), 'it called mknod'],
    ['NET_RAW', { what: 'socket', family: 17, type: 3 }, 'it made a raw socket'],
    ['NET_BIND_SERVICE', address('bind', '0.0.0.0', 443), 'it listened on port 443'],
    ['SYS_PTRACE', { what: 'processes', path: '/proc/*/exe' }, 'it read /proc/*/exe of others'],
    ['SYS_PTRACE', { what: 'processes', path: '/proc/*/fd/3' }, 'it read /proc/*/fd/3 of others'],
  ];
  test.each(rows)('%s', async (capability, sighting, reason) => {
    const { manifest, notes } = await suggest([sighting]);
    expect(manifest.capabilities).toEqual([capability]);
    expect(notes).toContainEqual({ about: 'capabilities', message: `${capability} is a guess: ${reason}` });
  });

  test.each(['/proc/*/status', '/proc/*/cmdline', '/proc/*/cgroup'])('none for %s', async (name) => {
    const { manifest } = await suggest([{ what: 'processes', path: name }]);
    expect(manifest).toMatchObject({ capabilities: [], allProcesses: true });
  });

  test('calls that no sandbox allows are named', async () => {
    const { manifest, notes } = await suggest([call('mount'), call('ptrace'), call('namespaces')]);
    expect(manifest.capabilities).toEqual([]);
    expect(notes).toContainEqual({
      about: 'capabilities',
      message: 'it called mount, namespaces, ptrace, which no sandbox allows whatever is in its manifest',
    });
  });
});

describe('network', () => {
  const socket = (family: number): Sighting => ({ what: 'socket', family, type: 1 });
  test.each<readonly [string, 'none' | 'unix' | 'all', readonly Sighting[]]>([
    ['nothing', 'none', []],
    ['a Unix socket with a path', 'none', [socket(1)]],
    ['an abstract one', 'unix', [socket(1), { what: 'abstract', access: 'connect', name: 'x' }]],
    ['a connection', 'all', [socket(2), address('connect', '192.0.2.1', 443)]],
    ['a connection over IPv6', 'all', [socket(10), address('connect', '2001:db8::1', 443)]],
    ['a port that is listened on', 'all', [socket(10), address('bind', '::', 8080)]],
    ['what a runtime tries for itself', 'none', [socket(10), address('bind', '::1', 0)]],
    ['a list of interfaces', 'none', [socket(16)]],
    ['a host’s own sockets', 'all', [socket(40)]],
  ])('%s: %s', async (_what, network, sightings) => {
    expect((await suggest(sightings)).manifest.network).toBe(network);
  });
});

describe('places', () => {
  test('those that each plugin has, its program and its sockets are left out', async () => {
    const names = [
      '/usr/bin/env',
      '/etc/hosts',
      '/lib/x',
      '/proc/meminfo',
      '/sys/fs/cgroup/cpu.max',
      '/opt/mine/plugin',
    ];
    const own = [...names, '/opt/mine/settings', folder.join('sockets/p/s'), '/dev/tty'];
    const device = (name: string): Sighting => ({ what: 'device', access: 'read', path: name });
    const { manifest } = await suggest([
      ...own.map((name) => path('read', name)),
      device('/dev/null'),
      device('/dev/tpm0'),
    ]);
    expect(manifest).toMatchObject({ readable: [], writable: [], devices: ['/dev/tpm0'] });
  });

  test('modules of Node are given whole', async () => {
    const names = ['/srv/x/node_modules/zod/index.js', '/srv/x/node_modules/a/node_modules/b/package.json'];
    const { manifest } = await suggest(names.map((name) => path('read', name)));
    expect(manifest.readable).toEqual(['/srv/x/node_modules']);
  });

  test('what is written where others have things is said, not given', async () => {
    const { manifest, notes } = await suggest([
      path('write', '/etc/mine.conf'),
      path('create', '/var/log/mine', 'none'),
    ]);
    expect(manifest.writable).toEqual([]);
    expect(notes.filter(({ about }: Note) => about === 'writable')).toHaveLength(2);
  });

  test('what is made in the temporary folder is scratch', async () => {
    const { manifest, notes } = await suggest([path('create', '/tmp/x', 'none'), path('create', '/tmp/x/y', 'none')]);
    expect(manifest.writable).toEqual([]);
    expect(notes).toEqual([]);
  });

  test('a folder that anybody may write is not the plugin’s own user’s', async () => {
    await chmod(folder.join('open'), 0o777);
    const { manifest, notes } = await suggest([path('create', folder.join('open/file'), 'none')]);
    expect(manifest).toMatchObject({ writable: [folder.join('open')], user: 'host' });
    expect(notes).toContainEqual({ about: 'user', message: expect.stringContaining('everybody may write') });
  });
});

describe('what is printed', () => {
  const hostile = ['quote"', 'line\nfeed', 'escape\x1b[31m', ['$', '{HOME}'].join(''), 'back\\slash', 'ünï'];

  test('can be read again, whatever the paths are', async () => {
    const paths = hostile.map((name) => folder.join(name));
    for (const name of paths) await writeFile(name, '');
    await mkdir(folder.join('deep'));
    const { manifest, ...rest } = await suggest([]);
    const suggestion = { ...rest, manifest: { ...manifest, readable: paths } };
    const block = toSandboxBlock(suggestion);
    expect([...block].every((letter) => letter === '\n' || (letter >= ' ' && letter !== '\x7f'))).toBe(true);
    const { sandbox } = readConfigText(z.strictObject({ sandbox: sandboxConfig }), block, { source: 'block' });
    expect(sandbox).toMatchObject({ ...{ user: 'own', readable: paths, network: 'none' }, processes: 32, files: 256 });
    expect(sandbox.memoryBytes).toBe(128 * 2 ** 20);
    expect(toManifestJson(suggestion)).toEqual({
      sandbox: { user: 'own', network: 'none', readable: paths, memory: '128MiB', processes: 32, files: 256 },
    });
  });

  test('a manifest is one that a host reads, and names what plugin_data names', async () => {
    const file = folder.join('keys/keys.json');
    const pin = folder.join('pin');
    await mkdir(folder.join('keys'));
    await writeFile(pin, '');
    const seen = await suggest([
      path('create', file, 'none'),
      path('read', pin),
      path('create', folder.join('open/x')),
    ]);
    const configuration = `keys_path = ${JSON.stringify(file)}\npin_path = ${JSON.stringify(pin)}`;
    const subject = { name: 'mine', side: 'server', type: 'KeyManager', configuration } as const;
    const manifest = parsePluginManifest(JSON.stringify(toManifestJson({ ...seen, subject })), 'manifest');
    expect(manifest).toMatchObject({
      ...{ name: 'mine', version: '0.1.0', side: 'server', kind: 'KeyManager' },
      sandbox: { readable: ['plugin_data.pin_path'], writable: ['dirname(plugin_data.keys_path)'] },
    });
    expect(manifestOf(manifest)(configuration)?.writable).toEqual([folder.join('keys')]);
    expect(notesOnManifest({ ...seen, subject })).toEqual([
      { about: 'writable', message: expect.stringContaining(`${folder.join('open')} is not in the manifest`) },
    ]);
  });

  test('a block leaves the file system open where processes of others are needed: it could not say both', async () => {
    const suggestion = await suggest([{ what: 'processes', path: '/proc/*/status' }, path('read', folder.path)]);
    expect(toSandboxBlock(suggestion)).not.toMatch(/readable|writable|devices/);
    expect(toManifestJson(suggestion)).toMatchObject({ sandbox: { all_processes: true } });
  });

  test('what was not seen is said', async () => {
    const { notes } = await suggest([{ what: 'unseen', name: 'openat' }], false);
    expect(notes.map(({ about }) => about)).toEqual(['observation', 'observation']);
  });
});
