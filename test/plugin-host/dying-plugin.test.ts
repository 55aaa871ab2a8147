import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { pluginConfig, SQL, TestHost } from './go-plugins.ts';

const program = fileURLToPath(new URL('dying-plugin.ts', import.meta.url));

const load = (moment: string) =>
  new TestHost().load('server', [
    SQL,
    pluginConfig({ type: 'KeyManager', name: 'dying', command: process.execPath, args: [program, moment] }),
  ]);

describe('a plugin that ends', () => {
  test.each([
    ['right after its handshake', 'handshake', 'load'],
    ['in Configure', 'configure', 'configure'],
  ])('%s: the message says how, with its last words', async (_what, moment, step) => {
    await expect(load(moment)).rejects.toMatchObject({
      code: 'PLUGIN_NOT_LOADED',
      message: `failed to ${step} plugin "dying": the plugin's process exited with status 3; its last words on stderr: "these are my last words"`,
    });
  });

  test('in a call that may not be repeated: the call says how, and the host starts the next', async () => {
    await using catalog = await load('call');
    await expect(catalog.keyManager.generateKey('k', 'ec-p256')).rejects.toMatchObject({
      code: 'PLUGIN_EXITED',
      message: "keymanager(dying): the plugin's process exited with status 3",
    });
    await expect(catalog.keyManager.getKeys()).resolves.toEqual([]);
  });
});
