import { createHash } from 'node:crypto';
import { chmod, chown, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type SandboxConfig, sandboxConfig } from '../../src/config/sandbox-config.ts';
import { Logger } from '../../src/log/logger.ts';
import { takeChecked } from '../../src/plugin-host/checksum.ts';
import { PluginProcess } from '../../src/plugin-host/plugin-process.ts';
import { SocketFolder } from '../../src/plugin-host/socket-folder.ts';
import { TestProcess } from '../harness/child-process.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { goPlugin, pluginConfig, SQL, TestHost } from './go-plugins.ts';

const root = join(import.meta.dirname, '..', '..');
const isRoot = process.getuid?.() === 0;
const sha256 = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

async function executable(name: string, text: string): Promise<string> {
  const path = folder.join(name);
  await writeFile(path, text);
  await chmod(path, 0o755);
  return path;
}

const SANDBOXES: readonly (readonly [string, SandboxConfig])[] = [
  ['as nothing is known of it', sandboxConfig.parse({})],
  ['without a sandbox', sandboxConfig.parse({ enabled: false })],
  [
    'in a sandbox',
    sandboxConfig.parse({ user: isRoot ? 'own' : 'host', readable: [root, process.execPath], network: 'none' }),
  ],
];

describe.each(SANDBOXES)('a plugin with plugin_checksum, run %s', (_what, sandbox) => {
  const load = (command: string, checksum: string) =>
    new TestHost().load('server', [SQL, pluginConfig({ type: 'KeyManager', name: 'k', command, checksum, sandbox })], {
      deadlines: { graceMs: 300 },
    });

  test.each([
    [
      'a script of Node',
      () => executable('script.mjs', `#!${process.execPath}\nimport '${root}/test/plugin-host/dying-plugin.ts';\n`),
    ],
    ['an executable of Go', () => goPlugin('key-manager')],
  ])('works as %s', async (_kind, find) => {
    const command = await find();
    await using catalog = await load(command, await sha256(command));
    expect(await catalog.keyManager.generateKey('k', 'ec-p256')).toMatchObject({ id: 'k' });
  });

  test('never runs what it was replaced by meanwhile, by another file or in place', async () => {
    const command = await executable('swapped', '');
    const ran = folder.join('evil-ran');
    const good = await executable('good', '#!/bin/sh\necho this is the good one >&2; exit 1\n');
    const evil = await executable('evil', `#!/bin/sh\necho this is the evil one >&2; touch ${ran}; exit 1\n`);
    await using swapper = await TestProcess.node(
      '-e',
      `const fs = require('node:fs');
       const [command, good, evil] = process.argv.slice(1);
       const texts = [good, evil].map((path) => fs.readFileSync(path));
       console.log('ready');
       for (let count = 0; ; count++) {
         const next = count % 2;
         if (count % 4 < 2) fs.writeFileSync(command, texts[next]);
         else {
           fs.writeFileSync(command + '.new', texts[next], { mode: 0o755 });
           fs.renameSync(command + '.new', command);
         }
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3);
       }`,
      command,
      good,
      evil,
    );
    await swapper.readLine();
    const checksum = await sha256(good);
    const reasons: string[] = [];
    for (let attempt = 0; attempt < 30; attempt++) {
      await load(command, checksum).catch((error: Error) => reasons.push(error.message));
    }
    await expect(readFile(ran)).rejects.toThrow(/ENOENT/);
    expect(reasons).toHaveLength(30);
    const right = /this is the good one|plugin_checksum wants|was replaced again and again while it was shown/;
    expect(reasons.filter((reason) => !right.test(reason))).toEqual([]);
    expect(reasons).toContainEqual(expect.stringMatching(/this is the good one|plugin_checksum wants/));
  });
});

test('a plugin with a checksum keeps its own name, with no launcher either', async () => {
  await using sockets = await SocketFolder.create();
  const copy = await takeChecked('/bin/sh', await sha256('/bin/sh'), sockets);
  const records: string[] = [];
  const start = PluginProcess.start({
    command: '/bin/sh',
    executable: copy,
    args: ['-c', 'echo "$0 $(readlink /proc/$$/exe)" >&2'],
    environment: {},
    handshakeDeadlineMs: 5_000,
    graceMs: 100,
    log: new Logger(({ message }) => records.push(message), 'trace'),
  });
  await expect(start).rejects.toThrow(/before its handshake/);
  expect(records).toEqual([`/bin/sh ${copy}`]);
});

test('what is no file is refused at once', async () => {
  await using sockets = await SocketFolder.create();
  await expect(takeChecked('/dev/zero', '0'.repeat(64), sockets)).rejects.toThrow(/"\/dev\/zero" is not a file/);
});

describe('a plugin without a checksum', () => {
  const warnings = async (command: string) => {
    const host = new TestHost();
    await host.load('server', [SQL, pluginConfig({ type: 'KeyManager', name: 'k', command })]).catch(() => {});
    return host.records.filter(({ level }) => level === 'warning').map(({ fields }) => fields.reason ?? '');
  };

  test('that others can change is told of', async () => {
    await chmod(folder.path, 0o755);
    const safe = await executable('safe', '#!/bin/sh\nexit 1\n');
    expect(await warnings(safe)).toEqual(['']);
    await chmod(safe, 0o777);
    expect(await warnings(safe)).toEqual(['', `everybody may write to "${safe}"`]);
    const open = folder.join('open');
    await mkdir(open);
    await copyFile(join(folder.path, 'good'), join(open, 'plugin'));
    await chmod(open, 0o777);
    expect(await warnings(join(open, 'plugin'))).toEqual(['', `everybody may write to "${open}"`]);
    if (!isRoot) return;
    await chmod(open, 0o755);
    await chown(open, 65534, 65534);
    expect(await warnings(join(open, 'plugin'))).toEqual(['', `"${open}" belongs to user 65534`]);
  });
});
