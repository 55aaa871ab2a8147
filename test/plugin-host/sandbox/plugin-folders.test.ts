import { chmod, chown, lchown, link, lstat, mkdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sandboxConfig } from '../../../src/config/sandbox-config.ts';
import { giveFolder } from '../../../src/plugin-host/sandbox/ownership.ts';
import { builtinPlugins } from '../../harness/built-programs.ts';
import { TestProcess } from '../../harness/child-process.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { JOIN_TOKEN, pluginConfig, TestHost } from '../go-plugins.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const isRoot = process.getuid?.() === 0;
const PLUGIN_USER = 1_900_000_000;

let folder: TemporaryFolder;
let own: string;
beforeEach(async () => {
  folder = await createTemporaryFolder();
  await chmod(folder.path, 0o755);
  own = folder.join('own');
  await mkdir(own, { mode: 0o700 });
});
afterEach(() => folder[Symbol.asyncDispose]());

/** What the hostile plugin says of one attempt, in a start of its own. */
async function attempt(name: string, target: string, places: object): Promise<string> {
  const attestor = pluginConfig({
    type: 'WorkloadAttestor',
    name: 'hostile',
    command: process.execPath,
    args: [join(root, 'test', 'harness', 'hostile-plugin.ts')],
    data: { text: `attempt = ${JSON.stringify(name)}\ntarget = ${JSON.stringify(target)}` },
    sandbox: sandboxConfig.parse({ user: isRoot ? 'own' : 'host', readable: [root], ...places }),
  });
  await using catalog = await new TestHost().load(
    'agent',
    [pluginConfig({ type: 'KeyManager', name: 'memory' }), JOIN_TOKEN, attestor],
    { builtins: builtinPlugins('agent'), dataDir: folder.path },
  );
  const [found] = (await catalog.workloadAttestors[0]?.attest(1, new AbortController().signal)) ?? [];
  return found?.value ?? '';
}

describe('a plugin that writes a folder', () => {
  test.runIf(isRoot)('does not get the host’s user by what it does to the folder', async () => {
    const places = { writable: [own] };
    const first = await attempt('user', '', places);
    expect(Number(first.replace('done:', ''))).toBeGreaterThan(1_000_000);
    await chmod(own, 0o777);
    expect(await attempt('user', '', places)).toBe(first);
  });

  test('does not read a file of others by a link in the place of its own', async () => {
    const secret = folder.join('secret');
    await writeFile(secret, 'secret', { mode: 0o600 });
    const settings = join(own, 'settings');
    await writeFile(settings, 'mine', { mode: 0o644 });
    const places = { writable: [own], readable: [root, settings] };
    expect(await attempt('read', settings, places)).toMatch(/^done:/);
    await rm(settings);
    await symlink(secret, settings);
    await expect(attempt('read', secret, places)).rejects.toThrow(
      /".*settings" leads out of the folder ".*own", which the plugin writes: remove that link/,
    );
  });

  test('does not write a folder of others by a link in the place of its own', async () => {
    const others = folder.join('others');
    await mkdir(others, { mode: 0o700 });
    const places = { writable: [own, join(own, 'deep', 'cache')] };
    expect(await attempt('write', join(own, 'file'), places)).toBe('done:');
    await rm(join(own, 'deep'), { recursive: true, force: true });
    await symlink(dirname(others), join(own, 'deep'));
    const aimed = { writable: [own, join(own, 'deep', 'others')] };
    await expect(attempt('write', join(own, 'deep', 'others', 'x'), aimed)).rejects.toThrow(/leads out of the folder/);
    expect((await stat(others)).uid).toBe(process.getuid?.());
    await expect(stat(join(others, 'x'))).rejects.toThrow(/ENOENT/);
  });

  test.runIf(isRoot)(
    'does not write a folder of others by a link that it left where its folder is to be now',
    async () => {
      const others = folder.join('others');
      await mkdir(others);
      await attempt('user', '', { writable: [own] });
      const { uid } = await stat(own);
      await symlink(others, join(own, 'data'));
      await lchown(join(own, 'data'), uid, uid);
      const narrowed = { writable: [join(own, 'data')] };
      const isRefused = /is below ".*own", which is a plugin's: name that folder, or make root the owner/;
      await expect(attempt('write', join(own, 'data', 'x'), narrowed)).rejects.toThrow(isRefused);
      await expect(stat(join(others, 'x'))).rejects.toThrow(/ENOENT/);
      await rm(join(own, 'data'));
      await mkdir(join(own, 'data'));
      await expect(attempt('write', join(own, 'data', 'x'), narrowed)).rejects.toThrow(isRefused);
      await rm(join(own, 'data'), { recursive: true });
      await expect(attempt('write', join(own, 'data', 'x'), narrowed)).rejects.toThrow(
        /is not there, and ".*own" is a plugin's/,
      );
    },
  );

  test.runIf(isRoot)('does not read a file of others by a link that it left where it reads now', async () => {
    const secret = folder.join('secret');
    await writeFile(secret, 'secret', { mode: 0o600 });
    await attempt('user', '', { writable: [own] });
    const { uid } = await stat(own);
    await symlink(secret, join(own, 'settings'));
    await lchown(join(own, 'settings'), uid, uid);
    const settings = { readable: [root, join(own, 'settings')] };
    await expect(attempt('read', join(own, 'settings'), settings)).rejects.toThrow(/which a plugin made: remove it/);
  });
});

describe.runIf(isRoot)('a folder that is given to another user', () => {
  test('goes with all in it, but for links, and for files with a second name', async () => {
    await writeFile(folder.join('secret'), 'secret', { mode: 0o600 });
    await mkdir(join(own, 'a', 'b'), { recursive: true });
    await writeFile(join(own, 'a', 'b', 'file'), '');
    await link(folder.join('secret'), join(own, 'a', 'second'));
    await symlink(folder.join('secret'), join(own, 'a', 'link'));
    await giveFolder(own, PLUGIN_USER);
    const ownerOf = async (...names: readonly string[]) => (await lstat(join(own, ...names))).uid;
    for (const names of [[], ['a'], ['a', 'b'], ['a', 'b', 'file']]) expect(await ownerOf(...names)).toBe(PLUGIN_USER);
    expect(await ownerOf('a', 'second')).toBe(0);
    expect((await stat(folder.join('secret'))).uid).toBe(0);
  });

  test('takes nothing of others along, whatever is put into the place of what while it is given', async () => {
    const others = folder.join('others');
    await mkdir(others);
    for (let file = 0; file < 20; file++) await writeFile(join(others, `file-${file}`), '');
    await using swapper = await TestProcess.node(
      '-e',
      `const fs = require('node:fs');
       const [own, others] = process.argv.slice(1);
       const [folder, link] = [others + '/../folder', others + '/../link'];
       fs.mkdirSync(folder);
       fs.symlinkSync(others, link);
       console.log('ready');
       for (;;) {
         for (const path of [folder, link]) {
           fs.renameSync(path, own + '/x');
           fs.renameSync(own + '/x', path);
         }
       }`,
      own,
      others,
    );
    await swapper.readLine();
    for (let round = 0; round < 2_000; round++) await giveFolder(own, PLUGIN_USER + round).catch(() => {});
    await swapper.kill();
    const owners = await Promise.all(
      Array.from({ length: 20 }, async (_, file) => (await stat(join(others, `file-${file}`))).uid),
    );
    expect([...new Set([(await stat(others)).uid, ...owners])]).toEqual([0]);
    await chown(own, 0, 0);
  });
});
