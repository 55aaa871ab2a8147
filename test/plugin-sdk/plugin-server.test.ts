import { access } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { HealthDefinition } from '../../src/gen/grpc/health/v1/health.ts';
import { GRPCControllerDefinition, GRPCStdioDefinition } from '../../src/gen/plugin/plugin.ts';
import { WorkloadAttestorDefinition } from '../../src/gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts';
import { ConfigDefinition, type ConfigureRequest } from '../../src/gen/spire/service/common/config/v1/config.ts';
import { InitDefinition } from '../../src/gen/spire/service/private/init/v1/init.ts';
import { defineWorkloadAttestor, SpiffeError } from '../../src/plugin-sdk/index.ts';
import { PluginServer } from '../../src/plugin-sdk/plugin-server.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { parseHandshake } from '../../src/rpc/handshake.ts';
import { Status } from '../../src/spiffe/status.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

const disposed: string[] = [];
const attestor = defineWorkloadAttestor({
  name: 'example',
  config: z.strictObject({ word: z.string() }),
  configure({ word }) {
    if (word === 'bad') throw new SpiffeError('CONFIG_INVALID', 'no bad words');
    return { word, [Symbol.dispose]: () => void disposed.push(word) };
  },
  attest: async (pid, { word }, { trustDomain }) => [`${word}:${pid}:${trustDomain}`],
});

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

async function start(environment: Record<string, string> = {}) {
  let shutdowns = 0;
  const server = await PluginServer.start(attestor, {
    environment: { WorkloadAttestor: 'WorkloadAttestor', PLUGIN_UNIX_SOCKET_DIR: folder.path, ...environment },
    logSink: () => {},
    onShutdown: () => void shutdowns++,
  });
  const handshake = parseHandshake(server.handshake);
  const channel = RpcChannel.unix(handshake.address);
  return {
    server,
    handshake,
    channel,
    shutdowns: () => shutdowns,
    async [Symbol.asyncDispose]() {
      channel[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const configuration = (hclConfiguration: string, trustDomain = 'example.org'): ConfigureRequest => ({
  coreConfiguration: { trustDomain },
  hclConfiguration,
});

describe('handshake (plugin-wire §2)', () => {
  test('names a socket in the folder that the host gave, with an empty certificate field', async () => {
    await using plugin = await start();
    expect(plugin.server.handshake).toMatch(/^1\|1\|unix\|\/.*\/plugin\d+\|grpc\|$/);
    expect(plugin.handshake.address.startsWith(folder.path)).toBe(true);
  });

  test('answers the question of multiplexing with no', async () => {
    await using plugin = await start({ PLUGIN_MULTIPLEX_GRPC: 'true' });
    expect(plugin.handshake.multiplexed).toBe(false);
  });

  test.each([
    ['no cookie', { WorkloadAttestor: '' }, /which a host has to start/],
    ['another protocol version', { PLUGIN_PROTOCOL_VERSIONS: '2,3' }, /protocol versions "2,3"/],
    ['a group that is no number', { PLUGIN_UNIX_SOCKET_GROUP: 'wheel' }, /is not a number/],
    ['a certificate that is none', { PLUGIN_CLIENT_CERT: 'x' }, /certificate/],
  ])('refuses %s', async (_rule, environment, message) => {
    await expect(start(environment)).rejects.toThrow(message);
  });

  test('removes its socket when it ends', async () => {
    const plugin = await start();
    await plugin[Symbol.asyncDispose]();
    await expect(access(plugin.handshake.address)).rejects.toThrow('ENOENT');
  });
});

describe('services of go-plugin and SPIRE (plugin-wire §4, §5)', () => {
  test('Init names the services, the kind first', async () => {
    await using plugin = await start();
    const { pluginServiceNames } = await createClient(InitDefinition, plugin.channel).init({ hostServiceNames: [] });
    expect(pluginServiceNames).toEqual([
      'spire.plugin.agent.workloadattestor.v1.WorkloadAttestor',
      'spire.service.common.config.v1.Config',
    ]);
  });

  test('the health service knows "plugin" and nothing else', async () => {
    await using plugin = await start();
    const health = createClient(HealthDefinition, plugin.channel);
    expect(await health.check({ service: 'plugin' })).toEqual({ status: 1 });
    await expect(health.check({ service: 'other' })).rejects.toMatchObject({ status: Status.NotFound });
  });

  test('prints reach the host by one stream; without a reader they wait for nobody', async () => {
    await using plugin = await start();
    for (let count = 0; count < 10_000; count++) plugin.server.stdio.push(Buffer.from(`line ${count}\n`));
    const stdio = createClient(GRPCStdioDefinition, plugin.channel);
    await using stream = stdio.streamStdio({});
    expect(Buffer.from((await stream.receive())?.data ?? []).toString()).toBe('line 0\n');
    await expect(stdio.streamStdio({}).receive()).rejects.toMatchObject({ status: Status.FailedPrecondition });
  });

  test.each([0, -1])('a workload attestor is not asked about process %i, which is none', async (pid) => {
    await using plugin = await start();
    const client = createClient(WorkloadAttestorDefinition, plugin.channel);
    await expect(client.attest({ pid })).rejects.toMatchObject({ status: Status.FailedPrecondition });
    await createClient(ConfigDefinition, plugin.channel).configure(configuration('word = "asked"'));
    await expect(client.attest({ pid })).rejects.toMatchObject({
      status: Status.InvalidArgument,
      message: expect.stringContaining(`${pid} is no process ID`),
    });
  });

  test('Deinit ends what is open; the plugin answers again once it is configured again', async () => {
    await using plugin = await start();
    const init = createClient(InitDefinition, plugin.channel);
    const config = createClient(ConfigDefinition, plugin.channel);
    const client = createClient(WorkloadAttestorDefinition, plugin.channel);
    await init.deinit({}); // nothing is open yet
    await config.configure(configuration('word = "ended"'));
    expect(disposed).not.toContain('ended');
    await init.deinit({});
    expect(disposed).toContain('ended');
    await expect(client.attest({ pid: 1 })).rejects.toMatchObject({ status: Status.FailedPrecondition });
    await init.init({ hostServiceNames: [] });
    await config.configure(configuration('word = "again"'));
    expect(await client.attest({ pid: 1 })).toEqual({ selectorValues: ['again:1:example.org'] });
  });

  test('what is open ends with a plugin that is not deinitialized, too', async () => {
    const plugin = await start();
    await createClient(ConfigDefinition, plugin.channel).configure(configuration('word = "left"'));
    await plugin[Symbol.asyncDispose]();
    expect(disposed).toContain('left');
    expect(disposed.filter((word) => word === 'left')).toHaveLength(1);
  });

  test('Shutdown is answered and ends the plugin', async () => {
    await using plugin = await start();
    await createClient(GRPCControllerDefinition, plugin.channel).shutdown({});
    await expect.poll(plugin.shutdowns).toBe(1);
  });
});

describe('configuration (plugin-wire §5)', () => {
  test('nothing answers before the first one, and each replaces the one before', async () => {
    await using plugin = await start();
    const client = createClient(WorkloadAttestorDefinition, plugin.channel);
    const config = createClient(ConfigDefinition, plugin.channel);
    await expect(client.attest({ pid: 1 })).rejects.toMatchObject({ status: Status.FailedPrecondition });
    await config.configure(configuration('word = "one"'));
    expect(await client.attest({ pid: 1 })).toEqual({ selectorValues: ['one:1:example.org'] });
    await config.configure(configuration('word = "two"', 'other.test'));
    expect(await client.attest({ pid: 1 })).toEqual({ selectorValues: ['two:1:other.test'] });
    expect(disposed).toContain('one');
  });

  const refused = [
    ['an unknown key', configuration('wrod = "x"'), /did you mean "word"/],
    ['what the plugin itself refuses', configuration('word = "bad"'), /no bad words/],
    ['text that does not parse', configuration('word = '), /plugin_data/],
    ['no trust domain', { coreConfiguration: undefined, hclConfiguration: 'word = "x"' }, /no trust domain/],
  ] as const;
  test.each(refused)('refuses %s and keeps the one in force', async (_rule, request, message) => {
    await using plugin = await start();
    const config = createClient(ConfigDefinition, plugin.channel);
    await config.configure(configuration('word = "good"'));
    await expect(config.configure(request)).rejects.toMatchObject({
      status: Status.InvalidArgument,
      message: expect.stringMatching(message),
    });
    const { valid, notes } = await config.validate(request);
    expect([valid, notes.join('\n')]).toEqual([false, expect.stringMatching(message)]);
    const client = createClient(WorkloadAttestorDefinition, plugin.channel);
    expect(await client.attest({ pid: 2 })).toEqual({ selectorValues: ['good:2:example.org'] });
  });

  test('a valid one has no notes, since SPIRE takes any note for a failure', async () => {
    await using plugin = await start();
    const config = createClient(ConfigDefinition, plugin.channel);
    expect(await config.validate(configuration('word = "x"'))).toEqual({ valid: true, notes: [] });
  });
});
