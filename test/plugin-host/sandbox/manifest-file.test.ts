import { execFileSync } from 'node:child_process';
import { chmod, chown, rm, symlink, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SandboxConfig } from '../../../src/config/sandbox-config.ts';
import { manifestPath, readManifestFile } from '../../../src/plugin-host/sandbox/manifest-file.ts';
import { parsePluginManifest } from '../../../src/plugin-host/sandbox/plugin-manifest.ts';
import { type SandboxPolicy, toPolicy } from '../../../src/plugin-host/sandbox/policy.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const OF_A_NOTIFIER = { name: 'mine', version: '1.2.3', side: 'server', kind: 'Notifier' };
const manifest = (sandbox: object, more: object = {}) => JSON.stringify({ ...OF_A_NOTIFIER, sandbox, ...more });
const isRoot = process.getuid?.() === 0;

async function read(text?: string, mode = 0o644) {
  const command = folder.join('plugin');
  const path = manifestPath(command);
  if (text !== undefined) {
    await writeFile(path, text);
    await chmod(path, mode);
  }
  return await readManifestFile({ command, side: 'server', type: 'Notifier' });
}

const refused = (message: RegExp) =>
  expect.objectContaining({
    code: 'PLUGIN_NOT_LOADED',
    message: expect.stringMatching(
      new RegExp(
        `^its manifest ".*/plugin\\.manifest\\.json" cannot be used: [\\s\\S]*${message.source}[\\s\\S]*manifest = false`,
      ),
    ),
  });

describe('a manifest beside a plugin', () => {
  test('need not be there', async () => {
    expect(await read()).toBeUndefined();
  });

  test('says what the plugin needs; what it leaves out the plugin does without', async () => {
    const of = (await read(manifest({})))?.needs;
    expect(of?.('')).toEqual({
      user: 'own',
      network: 'none',
      readable: [],
      writable: [],
      devices: [],
      capabilities: [],
      allProcesses: false,
      memoryBytes: undefined,
    });
  });

  test('takes paths from what the plugin is configured with', async () => {
    const found = await read(
      manifest({
        readable: ['/etc/mine', 'plugin_data.list', 'plugin_data.absent'],
        writable: ['plugin_data.folder', 'dirname(plugin_data.file)'],
      }),
    );
    expect(found?.version).toBe('1.2.3');
    const of = found?.needs;
    const data = 'list = ["/a", "b", 7]\nfolder = "/var/lib/mine"\nfile = "/srv/mine/keys.json"';
    expect(of?.(data)).toMatchObject({
      readable: ['/etc/mine', '/a', `${process.cwd()}/b`],
      writable: ['/var/lib/mine', '/srv/mine'],
    });
    expect(of?.('this is { no HCL')).toMatchObject({ readable: ['/etc/mine'], writable: [] });
  });

  const mistakes: readonly (readonly [string, string, RegExp])[] = [
    ['is no JSON', '{', /is not JSON/],
    ['is HCL', 'name = "mine"', /is not JSON/],
    [
      'is of another kind',
      manifest({}, { kind: 'KeyManager' }),
      /that of a KeyManager of the server, .* Notifier of the server/,
    ],
    ['is for the other program', manifest({}, { side: 'agent' }), /Notifier of the agent/],
    ['has a key that is not known', manifest({ netwrok: 'all' }), /sandbox\.netwrok: .*did you mean "network"/],
    ['names variables', manifest({ env: ['SECRET'] }), /sandbox\.env: is not a known key/],
    ['has a relative path', manifest({ readable: ['etc'] }), /sandbox\.readable\[0\]: must be an absolute path/],
    [
      'names a folder to take over',
      manifest({ writable: ['/etc'] }),
      /sandbox\.writable\[0\]: must be "plugin_data\.KEY"/,
    ],
    ['wants a capability that there is not', manifest({ capabilities: ['FLY'] }), /must be a capability of Linux/],
    ['wants more memory than any plugin', manifest({ memory: '5GiB' }), /sandbox\.memory: must be "4GiB" at most/],
    ['wants more files than any plugin', manifest({ files: 65_537 }), /sandbox\.files: must be 65536 at most/],
    [
      'wants more processes than any plugin',
      manifest({ processes: 4_097 }),
      /sandbox\.processes: must be 4096 at most/,
    ],
    ['has places without end', manifest({ readable: Array(65).fill('/a') }), /sandbox\.readable/],
    ['is no object', '[]', /plugin\.manifest\.json:1:1: expected a name/],
    ['lacks its name', JSON.stringify({ ...OF_A_NOTIFIER, name: undefined, sandbox: {} }), /name: /],
    ['is too large', manifest({}, { padding: 'x'.repeat(65_536) }), /bytes, more than 65536/],
  ];
  test.each(mistakes)('stops the plugin where it %s', async (_what, text, message) => {
    await expect(read(text)).rejects.toEqual(refused(message));
  });

  test.each([0o664, 0o646])('stops the plugin where others may write it (%o)', async (mode) => {
    await expect(read(manifest({}), mode)).rejects.toEqual(refused(/others may write it: run chmod go-w/));
  });

  test.runIf(isRoot)('stops the plugin where it belongs to somebody else', async () => {
    const path = manifestPath(folder.join('plugin'));
    await writeFile(path, manifest({}));
    await chown(path, 65_534, 65_534);
    await expect(read()).rejects.toEqual(refused(/belongs to user 65534/));
  });

  test('stops the plugin where it is no file, and waits for none', async () => {
    const path = manifestPath(folder.join('plugin'));
    execFileSync('mkfifo', ['-m', '600', path]);
    await expect(read()).rejects.toEqual(refused(/it is no file/));
    await rm(path);
    await symlink('/dev/zero', path);
    await expect(read()).rejects.toEqual(refused(/it is no file/));
  });
});

describe('a manifest only takes away', () => {
  const nothingKnown = toPolicy(undefined, undefined);
  const widest = {
    user: 'host',
    network: 'all',
    capabilities: ['SYS_ADMIN'],
    all_processes: true,
    memory: '4GiB',
    processes: 4_096,
    files: 65_536,
    readable: ['/'],
  };

  /** Whether one policy allows nothing that the other does not. */
  function isWithin(one: SandboxPolicy, other: SandboxPolicy): boolean {
    const networks = ['none', 'unix', 'all'];
    return (
      (other.places === undefined || one.places !== undefined) &&
      (other.capabilities === undefined || one.capabilities !== undefined) &&
      networks.indexOf(one.network) <= networks.indexOf(other.network) &&
      (one.allProcesses ? other.allProcesses : true) &&
      (one.denySystemCalls || !other.denySystemCalls) &&
      one.files <= other.files &&
      one.processes <= other.processes &&
      one.memoryBytes <= other.memoryBytes &&
      one.variables.every((name) => other.variables.includes(name))
    );
  }

  test.each([
    ['the widest', widest],
    ['the narrowest', {}],
  ])('%s', async (_what, sandbox) => {
    const of = (await read(manifest(sandbox)))?.needs;
    const policy = toPolicy(of?.(''), undefined);
    expect(isWithin(policy, nothingKnown)).toBe(true);
    expect(isWithin(nothingKnown, policy)).toBe(false);
  });

  const block = { enabled: true, required: false, env: [] } as const;
  const withoutOne: readonly (readonly [string, SandboxConfig])[] = [
    ['a user of its own', { ...block, user: 'own' }],
    ['a user and no capabilities but one', { ...block, user: 'own', capabilities: ['KILL'] }],
    ['places', { ...block, readable: ['/b'] }],
    ['no network', { ...block, network: 'none' }],
  ];
  test.each(withoutOne)('the widest, where the configuration gives it %s', async (_what, config) => {
    const of = (await read(manifest({ ...widest, readable: ['/etc/shadow'] })))?.needs;
    const policy = toPolicy(of?.(''), config, true);
    const without = toPolicy(undefined, config);
    expect(isWithin(policy, without)).toBe(true);
    expect(without.capabilities ?? policy.capabilities).toEqual(policy.capabilities);
    expect(policy.ownUser).toBe(without.ownUser);
    expect(policy.plainlyReadable).toEqual(config.user === 'own' ? ['/etc/shadow'] : []);
  });

  test('and what is configured goes before it', async () => {
    const of = (await read(manifest({ readable: ['/a'], memory: '512MiB', files: 100 })))?.needs;
    const config: SandboxConfig = {
      enabled: true,
      required: false,
      env: ['A'],
      readable: ['/b'],
      network: 'all',
      files: 200,
    };
    expect(toPolicy(of?.(''), config)).toMatchObject({
      places: { readable: ['/a', '/b'], writable: [], devices: [] },
      network: 'all',
      files: 200,
      memoryBytes: 512 * 2 ** 20,
      processes: 256,
      variables: ['A'],
    });
  });
});

test('every template of ours is one', async () => {
  const { readFile, readdir } = await import('node:fs/promises');
  const templates = new URL('../../../templates/', import.meta.url);
  const names = await readdir(templates, { recursive: true });
  const found = names.filter((name) => name.endsWith('manifest.json'));
  expect(found).toHaveLength(10);
  for (const name of found) parsePluginManifest(await readFile(new URL(name, templates), 'utf8'), name);
});
