import { describe, expect, test } from 'vitest';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { matchServices } from '../../src/plugin-host/services.ts';
import { describeWithGo } from '../harness/requires.ts';
import { goPlugin, pluginConfig, SQL, TestHost } from './go-plugins.ts';

const CONFIG = 'spire.service.common.config.v1.Config';
const service = (side: string, type: string, version = 1) =>
  `spire.plugin.${side}.${type.toLowerCase()}.v${version}.${type}`;

describe('what a plugin says that it serves (plugin-wire §5)', () => {
  const records: LogRecord[] = [];
  const match = (names: readonly string[]) =>
    matchServices({ side: 'server', type: 'Notifier' }, names, new Logger((record) => records.push(record)));

  test.each([
    [[service('server', 'Notifier')], false],
    [[CONFIG, service('server', 'Notifier')], true],
  ])('%j is a notifier', (names, hasConfig) => {
    expect(match(names)).toEqual({ plugin: service('server', 'Notifier'), hasConfig });
  });

  test('what is left over is named in the log', () => {
    match([service('server', 'Notifier'), 'example.Other']);
    expect(records).toEqual([
      expect.objectContaining({
        level: 'warning',
        message: 'unsupported plugin service',
        fields: { plugin_service: 'example.Other' },
      }),
    ]);
  });

  test.each([
    ['nothing', [], /the plugin serves nothing$/],
    ['its configuration alone', [CONFIG], /the plugin serves nothing$/],
    ['what nobody knows', ['example.Other'], /the plugin serves "example.Other"$/],
    [
      'another version',
      [service('server', 'Notifier', 2)],
      /: its interface is version 2, this host knows version 1, so/,
    ],
    ['another kind', [service('server', 'BundlePublisher')], /: configure it as BundlePublisher$/],
    ['another kind of the agent', [service('agent', 'SVIDStore')], /: configure it as SVIDStore of the agent$/],
  ])('refuses %s in one sentence', (_what, names, message) => {
    expect(() => match(names)).toThrow(
      expect.objectContaining({
        code: 'PLUGIN_NOT_LOADED',
        message: expect.stringMatching(
          new RegExp(
            `^no supported plugin interface found: the server needs "${service('server', 'Notifier')}", the plugin serves `,
          ),
        ),
      }),
    );
    expect(() => match(names)).toThrow(message);
  });

  test('refuses more than a plugin can have', () => {
    expect(() => match(Array.from({ length: 65 }, (_, index) => `s${index}`))).toThrow(/claims to serve 65 services/);
  });
});

describeWithGo('a plugin in the wrong place', () => {
  const load = async (plugin: 'key-manager' | 'notifier', ...args: readonly string[]) => {
    const command = await goPlugin(plugin);
    return await new TestHost().load('server', [SQL, pluginConfig({ type: 'KeyManager', name: 'km', command, args })]);
  };

  test('of the other side is told where to go', async () => {
    await expect(load('key-manager', 'agent')).rejects.toMatchObject({
      code: 'PLUGIN_NOT_LOADED',
      message: expect.stringMatching(
        /^failed to load plugin "km": no supported plugin interface found: .*: it is for the agent, configure it there$/,
      ),
    });
  });

  test('of another kind does not say its handshake', async () => {
    await expect(load('notifier')).rejects.toMatchObject({
      code: 'PLUGIN_NOT_LOADED',
      message: expect.stringMatching(
        /^failed to load plugin "km": it exited with status 1 before its handshake; its last words/,
      ),
    });
  });
});
