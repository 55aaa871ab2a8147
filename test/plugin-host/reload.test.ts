import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { symlinkSync, writeFileSync } from 'node:fs';
import { access, copyFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PluginConfig } from '../../src/config/plugins.ts';
import type { CatalogOptions, PluginCatalog } from '../../src/plugin-host/catalog.ts';
import type { KeyManager } from '../../src/plugin-host/kinds/key-manager.ts';
import { builtPlugin } from '../harness/built-programs.ts';
import { eventually } from '../harness/eventually.ts';
import { describeWithGo } from '../harness/requires.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { goPlugin, JOIN_TOKEN, pluginConfig, SQL, TestHost } from './go-plugins.ts';
import { isGone } from './is-gone.ts';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

/** The disk key manager of ours, from its source. */
function disk(side: 'server' | 'agent', keysPath = folder.join('keys.json')): PluginConfig {
  return pluginConfig({
    type: 'KeyManager',
    name: 'disk',
    command: process.execPath,
    args: [builtPlugin(side, 'disk')],
    data: {
      text:
        side === 'server' ? `keys_path = ${JSON.stringify(keysPath)}` : `directory = ${JSON.stringify(folder.path)}`,
    },
  });
}

const ofName = (catalog: PluginCatalog, name: string) => {
  const found = catalog.plugins.find((plugin) => plugin.name === name);
  if (found?.pid === undefined) throw new Error(`${name} has no process`);
  return { ...found, pid: found.pid };
};

/** Signs again and again until told to stop. @returns how often; a failure is thrown */
async function signUntil(keyManager: KeyManager, id: string, stopped: () => boolean): Promise<number> {
  const key = await keyManager.findKey(id);
  if (key === undefined) throw new Error(`no key ${id}`);
  for (let count = 0; ; count++) {
    if (stopped()) return count;
    await key.signDigest(new Uint8Array(32), 'sha256');
  }
}

describe('a key manager that keeps its keys', () => {
  test('goes on in a new process, with the same keys, and no call fails meanwhile', async () => {
    const host = new TestHost();
    await using catalog = await host.load('server', [SQL, disk('server')]);
    const { keyManager } = catalog;
    const key = await keyManager.generateKey('k', 'ec-p256');
    const before = ofName(catalog, 'disk');
    let stop = false;
    const callers = [1, 2, 3, 4].map(() => signUntil(keyManager, 'k', () => stop));
    await catalog.reloader.reload('disk');
    stop = true;
    for (const count of await Promise.all(callers)) expect(count).toBeGreaterThan(0);
    const after = ofName(catalog, 'disk');
    expect(after).toMatchObject({ state: 'running', generation: 2, restarts: 0, lastError: undefined });
    expect(after.pid).not.toBe(before.pid);
    await eventually(() => expect(isGone(before.pid)).toBe(true));
    const again = await keyManager.findKey('k');
    expect(again?.fingerprint).toBe(key.fingerprint);
    expect(again?.endpoint.socketPath).toBe(key.endpoint.socketPath);
    expect(host.records.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('loses no key that is made while it is reloaded', async () => {
    await using catalog = await new TestHost().load('server', [SQL, disk('server')]);
    const { keyManager } = catalog;
    const made = Array.from({ length: 8 }, (_, index) => keyManager.generateKey(`k${index}`, 'ec-p256'));
    const reloading = catalog.reloader.reload('disk');
    const late = Array.from({ length: 8 }, (_, index) => keyManager.generateKey(`l${index}`, 'ec-p256'));
    await reloading;
    const keys = await Promise.all([...made, ...late]);
    const kept = new Map((await keyManager.getKeys()).map(({ id, fingerprint }) => [id, fingerprint]));
    expect(kept.size).toBe(16);
    for (const { id, fingerprint } of keys) expect(kept.get(id)).toBe(fingerprint);
  });

  test('is not replaced by a process that has not its keys', async () => {
    let keysPath = folder.join('keys.json');
    const catalogOptions = { readPlugins: async () => [SQL, disk('server', keysPath)] };
    await using catalog = await new TestHost().load('server', [SQL, disk('server')], catalogOptions);
    await catalog.keyManager.generateKey('x509-CA-A', 'ec-p256');
    const { pid } = ofName(catalog, 'disk');
    keysPath = folder.join('other.json');
    await expect(catalog.reloader.reload('disk')).rejects.toThrow(/"x509-CA-A" would be lost/);
    expect(ofName(catalog, 'disk')).toMatchObject({ pid, generation: 1, state: 'running' });
    expect(await catalog.keyManager.findKey('x509-CA-A')).toBeDefined();
  });
});

describe('a plugin that cannot be reloaded goes on', () => {
  const attestor = (command: string, text: string, more: Partial<PluginConfig> = {}) =>
    pluginConfig({ type: 'NodeAttestor', name: 'odd', command, data: { text }, ...more });
  const sdkAttestor = (data: string) => attestor(process.execPath, data, { args: [source('sdk-attestor.ts')] });

  async function load(plugins: () => readonly PluginConfig[], more: Partial<CatalogOptions> = {}) {
    return await new TestHost().load('server', [...plugins()], { readPlugins: async () => plugins(), ...more });
  }

  test.each([
    ['Configure refuses', () => sdkAttestor('no_such_key = 1'), /no_such_key/],
    ['it is not there', () => attestor('/nowhere/plugin', ''), /cannot run "\/nowhere\/plugin"/],
    ['it ends at once', () => attestor('/bin/false', ''), /exited with status 1 before its handshake/],
    ['it is configured no more', () => undefined, /the configuration has NodeAttestor "odd" no more/],
  ])('where %s', async (_why, next, reason) => {
    let now: PluginConfig | undefined = sdkAttestor('');
    await using catalog = await load(() => [SQL, disk('server'), ...(now === undefined ? [] : [now])]);
    const { pid } = ofName(catalog, 'odd');
    now = next();
    await expect(catalog.reloader.reload('odd')).rejects.toThrow(reason);
    expect(ofName(catalog, 'odd')).toMatchObject({ pid, generation: 1, state: 'running' });
  });

  test('where the configuration has mistakes, which are the reason', async () => {
    const readPlugins = async () => {
      throw new Error('server.conf:3: plugins: is required');
    };
    await using catalog = await new TestHost().load('server', [SQL, disk('server')], { readPlugins });
    await expect(catalog.reloader.reload('disk')).rejects.toThrow('server.conf:3: plugins: is required');
  });

  test('where it is being reloaded already', async () => {
    await using catalog = await load(() => [SQL, disk('server')]);
    const first = catalog.reloader.reload('disk');
    const second = catalog.reloader.reload('disk');
    await expect(second).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'plugin "disk" is being reloaded already',
    });
    await first;
  });

  test('where nobody has the name, or two have', async () => {
    const named = { ...disk('server'), name: 'sdk' };
    await using catalog = await load(() => [SQL, named, { ...sdkAttestor(''), name: 'sdk' }]);
    await expect(catalog.reloader.reload('other')).rejects.toMatchObject({
      code: 'PLUGIN_NOT_FOUND',
      message: 'no plugin "other" runs here, but KeyManager "sdk", NodeAttestor "sdk"',
    });
    await expect(catalog.reloader.reload('sdk')).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      message: 'there are KeyManager "sdk" and NodeAttestor "sdk": say which type is meant',
    });
    await catalog.reloader.reload('sdk', 'NodeAttestor');
    expect(catalog.plugins.map(({ generation }) => generation)).toEqual([1, 2, undefined]);
  });
});

test('a plugin that is down is up at once, and healthy, once it is reloaded', async () => {
  const keysPath = folder.join('keys.json');
  await using catalog = await new TestHost().load('server', [SQL, disk('server', keysPath)]);
  for (let round = 1; round < 6; round++) {
    process.kill(ofName(catalog, 'disk').pid, 'SIGKILL');
    if (round < 5) await eventually(() => expect(ofName(catalog, 'disk').generation).toBe(round + 1));
  }
  await eventually(() => expect(catalog.plugins[0]?.state).toBe('unhealthy'));
  await catalog.reloader.reload('disk');
  expect(ofName(catalog, 'disk')).toMatchObject({ state: 'running', restarts: 4 });
  expect(await catalog.keyManager.getKeys()).toEqual([]);
});

test('a start that a reload has overtaken is given up, and what was reloaded is started again when it ends', async () => {
  const [hold, waiting] = [folder.join('hold'), folder.join('waiting')];
  const script = `while [ -e "$1" ]; do : > "$2"; sleep 0.1; done; shift 2; exec "$@"`;
  const slow: PluginConfig = {
    ...disk('server'),
    command: '/bin/sh',
    args: ['-c', script, 'sh', hold, waiting, process.execPath, ...disk('server').args],
  };
  let now = slow;
  await using catalog = await new TestHost().load('server', [SQL, slow], { readPlugins: async () => [SQL, now] });
  await writeFile(hold, '');
  process.kill(ofName(catalog, 'disk').pid, 'SIGKILL');
  await eventually(() => access(waiting));
  now = disk('server');
  await catalog.reloader.reload('disk');
  expect(ofName(catalog, 'disk')).toMatchObject({ state: 'running', generation: 2 });
  const { pid } = ofName(catalog, 'disk');
  process.kill(pid, 'SIGKILL');
  await eventually(() => expect(isGone(pid)).toBe(true));
  expect(await catalog.keyManager.getKeys()).toEqual([]);
  expect(ofName(catalog, 'disk')).toMatchObject({ state: 'running', generation: 3, restarts: 1 });
});

describe('a plugin_data_file', () => {
  const configured = (file: string) => ({ ...disk('server'), data: { file } });

  test.each([
    ['a pipe that nobody writes to', (file: string) => execFileSync('mkfifo', [file]), /is no file/],
    ['what never ends', (file: string) => symlinkSync('/dev/zero', file), /larger than 16777216 bytes/],
    [
      'more than a configuration',
      (file: string) => writeFileSync(file, Buffer.alloc(17 * 2 ** 20)),
      /larger than 16777216 bytes/,
    ],
  ])('that becomes %s is refused, and nobody waits for it', async (_what, become, reason) => {
    const file = folder.join('keys.conf');
    await writeFile(file, `keys_path = ${JSON.stringify(folder.join('keys.json'))}`);
    await using catalog = await new TestHost().load('server', [SQL, configured(file)]);
    await rm(file);
    become(file);
    await expect(catalog.reloader.reload('disk')).rejects.toThrow(reason);
    expect(await catalog.keyManager.getKeys()).toEqual([]);
  });
  const write = async (file: string, text: string) => {
    await writeFile(`${file}.next`, text);
    await rename(`${file}.next`, file);
  };

  test('that is written is taken; one that is refused is not, with the reason in the log', async () => {
    const host = new TestHost();
    const file = folder.join('disk.hcl');
    const text = `keys_path = ${JSON.stringify(folder.join('keys.json'))}\n`;
    await write(file, text);
    await using catalog = await host.load('server', [SQL, configured(file)]);
    await write(file, `${text}# changed\n`);
    await eventually(() => expect(ofName(catalog, 'disk')).toMatchObject({ generation: 2 }));
    await write(file, `${text}nonsense = true\n`);
    await eventually(() =>
      expect(host.records).toContainEqual(
        expect.objectContaining({
          level: 'error',
          message: 'plugin was not reloaded and goes on',
          fields: expect.objectContaining({ plugin_name: 'disk', reason: expect.stringMatching(/nonsense/) }),
        }),
      ),
    );
    expect(ofName(catalog, 'disk')).toMatchObject({ generation: 2, state: 'running' });
    await write(file, `${text}# changed again\n`);
    await eventually(() => expect(ofName(catalog, 'disk')).toMatchObject({ generation: 3 }));
  });

  test('that has not changed reloads nothing when it is asked for what has', async () => {
    const file = folder.join('disk.hcl');
    const text = `keys_path = ${JSON.stringify(folder.join('keys.json'))}\n`;
    await write(file, text);
    await using catalog = await new TestHost().load('server', [SQL, configured(file)]);
    await write(file, text);
    await catalog.reloader.reloadChanged();
    expect(ofName(catalog, 'disk')).toMatchObject({ generation: 1 });
    await write(file, `${text}# changed\n`);
    await catalog.reloader.reloadChanged();
    expect(ofName(catalog, 'disk')).toMatchObject({ generation: 2 });
  });
});

describeWithGo('a Go plugin', () => {
  const checksumOf = async (path: string) => hash('sha256', await readFile(path));
  const swap = async (path: string, next: string) => {
    await copyFile(next, `${path}.next`);
    await rename(`${path}.next`, path);
  };

  test('whose binary was swapped is reloaded without a failed call, once its checksum is right', async () => {
    const command = folder.join('plugin');
    await copyFile(await goPlugin('workload-attestor', '1.4.0'), command);
    let checksum = await checksumOf(command);
    const plugins = () => [
      JOIN_TOKEN,
      disk('agent'),
      pluginConfig({ type: 'WorkloadAttestor', name: 'go', command, checksum }),
    ];
    await using catalog = await new TestHost().load('agent', plugins(), { readPlugins: async () => plugins() });
    const [attestor] = catalog.workloadAttestors;
    if (attestor === undefined) throw new Error('no attestor');
    let stop = false;
    const caller = async () => {
      for (let count = 0; ; count++) {
        if (stop) return count;
        await attestor.attest(process.pid, new AbortController().signal);
      }
    };
    const callers = [caller(), caller(), caller(), caller()];
    const { pid } = ofName(catalog, 'go');
    await swap(command, await goPlugin('workload-attestor', '1.8.0'));
    await expect(catalog.reloader.reload('go')).rejects.toThrow(/but plugin_checksum wants/);
    expect(ofName(catalog, 'go')).toMatchObject({ pid, generation: 1 });
    checksum = await checksumOf(command);
    await catalog.reloader.reload('go');
    await eventually(() => expect(isGone(pid)).toBe(true));
    stop = true;
    for (const count of await Promise.all(callers)) expect(count).toBeGreaterThan(0);
    expect(ofName(catalog, 'go')).toMatchObject({ generation: 2, restarts: 0 });
  });

  test('that keeps its keys in memory is not replaced: its keys would go with it', async () => {
    const command = await goPlugin('key-manager');
    const keyManager = pluginConfig({ type: 'KeyManager', name: 'km', command });
    await using catalog = await new TestHost().load('server', [SQL, keyManager]);
    const key = await catalog.keyManager.generateKey('JWT-Signer-A', 'ec-p256');
    await expect(catalog.reloader.reload('km')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('"JWT-Signer-A" would be lost'),
    });
    expect((await key.signDigest(new Uint8Array(32), 'sha256')).length).toBeGreaterThan(60);
  });

  describe('with an attestation under way', () => {
    const options = { csrPublicKey: new Uint8Array([1]), signal: new AbortController().signal };
    const answer = (challenge: Uint8Array) => hash('sha256', Buffer.concat([challenge, Buffer.from('node')]), 'buffer');
    const load = async (deadlines: CatalogOptions['deadlines'] = {}) => {
      const attestor = pluginConfig({
        type: 'NodeAttestor',
        name: 'go_digest',
        command: await goPlugin('server-node-attestor'),
        data: { text: '' },
      });
      return await new TestHost().load('server', [SQL, disk('server'), attestor], { deadlines });
    };

    test('ends it in the process that began it', async () => {
      await using catalog = await load();
      const { pid } = ofName(catalog, 'go_digest');
      const verdict = await catalog.findServerNodeAttestor('go_digest')?.attest(
        Buffer.from('node'),
        async (challenge) => {
          await catalog.reloader.reload('go_digest');
          return answer(challenge);
        },
        options,
      );
      expect(verdict?.spiffeId).toMatch(/^spiffe:\/\/example\.org\/spire\/agent\/go_digest\/node$/);
      expect(ofName(catalog, 'go_digest').generation).toBe(2);
      await eventually(() => expect(isGone(pid)).toBe(true));
    });

    test('gives it no more than the time to drain, and says why', async () => {
      await using catalog = await load({ drainMs: 200 });
      const { pid } = ofName(catalog, 'go_digest');
      const attesting = catalog.findServerNodeAttestor('go_digest')?.attest(
        Buffer.from('node'),
        async (challenge) => {
          await catalog.reloader.reload('go_digest');
          await eventually(() => expect(isGone(pid)).toBe(true));
          return answer(challenge);
        },
        options,
      );
      await expect(attesting).rejects.toMatchObject({
        code: 'PLUGIN_EXITED',
        message: 'nodeattestor(go_digest): the plugin was reloaded, and the process of this call is no more',
      });
    });
  });
});
