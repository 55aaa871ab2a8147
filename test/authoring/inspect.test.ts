import { chmod, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Inspection, type InspectOptions, inspectPlugin } from '../../src/authoring/inspect/index.ts';
import { hostTag } from '../../src/plugin-host/sandbox/host-tag.ts';
import { createOneTimeIdentity } from '../../src/rpc/auto-mtls.ts';
import { formatHandshake, type Handshake } from '../../src/rpc/handshake.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { PLUGIN_SDK } from '../harness/built-programs.ts';
import { describeWithGo } from '../harness/requires.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { GO_BUILDS, type GoPlugin, goPlugin } from '../plugin-host/go-plugins.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

async function inspect(options: Partial<InspectOptions> & Pick<InspectOptions, 'command'>): Promise<Inspection> {
  return await inspectPlugin({ args: [], trustDomain: parseTrustDomain('example.org'), ...options });
}

/** A plugin of ours from its source. */
function inspectOurs(path: string, options: Partial<InspectOptions> = {}): Promise<Inspection> {
  return inspect({ ...options, command: process.execPath, args: [source(path), ...(options.args ?? [])] });
}

let files = 0;
async function write(text: string, mode = 0o644): Promise<string> {
  const path = folder.join(`file-${files++}`);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

const script = (...lines: readonly string[]) => write(['#!/bin/sh', ...lines, ''].join('\n'), 0o755);

describe('a plugin of our SDK', () => {
  test.each([
    ['../../dist/plugins/server-memory.js', { side: 'server', type: 'KeyManager' }],
    ['../../dist/plugins/agent-memory.js', { side: 'agent', type: 'KeyManager' }],
    ['../interop/sdk-plugins/workload-attestor.ts', { side: 'agent', type: 'WorkloadAttestor' }],
    ['../plugin-host/sdk-attestor.ts', { side: 'server', type: 'NodeAttestor' }],
  ])('%s: finds its kind and all of its parts', async (path, kind) => {
    const inspection = await inspectOurs(path, { configFile: '/dev/null' });
    expect(inspection).toMatchObject({
      loadable: true,
      problems: [],
      warnings: [],
      kinds: [kind],
      handshake: { coreVersion: 1, protocolVersion: 1, network: 'unix', protocol: 'grpc' },
      configured: true,
      optional: { health: true, stdio: true, validate: true, deinit: true },
      autoMtls: { works: true },
    });
    expect(inspection.readyMs).toBeGreaterThanOrEqual(inspection.handshakeMs ?? Number.NaN);
    expect(inspection.memoryBytes).toBeGreaterThan(1_000_000);
  });

  test('without a configuration it is not configured', async () => {
    const inspection = await inspectOurs('../../dist/plugins/server-memory.js');
    expect(inspection).toMatchObject({ loadable: true, problems: [] });
    expect(inspection).not.toHaveProperty('configured');
  });

  test('tells why Configure refuses', async () => {
    const configFile = await write('colour = "red"');
    const inspection = await inspectOurs('../../dist/plugins/server-memory.js', { configFile });
    expect(inspection).toMatchObject({
      loadable: false,
      configured: false,
      problems: [{ step: 'configuration', message: expect.stringContaining('colour') }],
    });
  });

  test('is not for the other program', async () => {
    const inspection = await inspectOurs('../interop/sdk-plugins/notifier.ts', { side: 'agent' });
    expect(inspection).toMatchObject({
      loadable: false,
      kinds: [{ side: 'server', type: 'Notifier' }],
      problems: [{ step: 'services', message: 'it is a Notifier for the server, not for the agent' }],
    });
  });

  test('ends in the middle of its configuration', async () => {
    const configFile = await write('');
    const program = await write(`
      import { servePlugin, defineNotifier } from ${JSON.stringify(PLUGIN_SDK)};
      import { z } from ${JSON.stringify(import.meta.resolve('zod'))};
      await servePlugin(defineNotifier({
        name: 'short', config: z.strictObject({}),
        configure: () => { process.stderr.write('no disk\\n', () => process.exit(7)); return new Promise(() => {}); },
        notify: async () => {}, notifyAndAdvise: async () => {},
      }));`);
    await expect(inspect({ command: process.execPath, args: [program], configFile })).resolves.toMatchObject({
      loadable: false,
      problems: [
        { step: 'configuration', message: expect.stringMatching(/process exited with status 7; .*"no disk"/) },
      ],
    });
  });
});

describeWithGo('a plugin of SPIRE’s SDK', () => {
  const kinds: readonly (readonly [GoPlugin, string, string])[] = [
    ['server-node-attestor', 'server', 'NodeAttestor'],
    ['agent-node-attestor', 'agent', 'NodeAttestor'],
    ['workload-attestor', 'agent', 'WorkloadAttestor'],
    ['svid-store', 'agent', 'SVIDStore'],
    ['upstream-authority', 'server', 'UpstreamAuthority'],
    ['notifier', 'server', 'Notifier'],
    ['bundle-publisher', 'server', 'BundlePublisher'],
    ['credential-composer', 'server', 'CredentialComposer'],
  ];
  const versions = [...new Set(GO_BUILDS.map(({ goPluginVersion }) => goPluginVersion))];

  describe.each(versions)('go-plugin %s', (version) => {
    test.each(kinds)('%s', async (name, side, type) => {
      const inspection = await inspect({ command: await goPlugin(name, version) });
      expect(inspection).toMatchObject({
        loadable: true,
        problems: [],
        kinds: [{ side, type }],
        optional: { health: true, stdio: true },
      });
      expect(inspection.autoMtls).toBeDefined();
    });

    test('key-manager', async () => {
      const inspection = await inspect({ command: await goPlugin('key-manager', version) });
      expect(inspection).toMatchObject({ loadable: true, problems: [] });
      expect(inspection.kinds.map(({ type }) => type)).toContain('KeyManager');
    });
  });

  test('a Go plugin of somebody else’s has another magic cookie', async () => {
    // go-plugin's words, as such a plugin writes them without its cookie.
    const command = await script(
      'echo "This binary is a plugin. These are not meant to be executed directly." >&2',
      'exit 1',
    );
    await expect(inspect({ command })).resolves.toMatchObject({
      loadable: false,
      problems: [
        { step: 'start', message: expect.stringMatching(/^its magic cookie is none of SPIRE's: .*"This bin/) },
      ],
    });
  });

  test('one that refuses all cookies but its own is found with each alone', async () => {
    const plugin = await goPlugin('workload-attestor');
    const command = await script('[ -z "$KeyManager" ] || exit 1', `exec ${plugin}`);
    await expect(inspect({ command })).resolves.toMatchObject({
      loadable: true,
      kinds: [{ side: 'agent', type: 'WorkloadAttestor' }],
    });
  });

  test('one that does not take its own kind’s cookie cannot be loaded', async () => {
    const plugin = await goPlugin('workload-attestor');
    const command = await script('[ -n "$KeyManager" ] || exit 9', `exec ${plugin}`);
    await expect(inspect({ command })).resolves.toMatchObject({
      loadable: false,
      problems: [
        {
          step: 'cookie',
          message: expect.stringMatching(/does not start with .* WorkloadAttestor=WorkloadAttestor alone: .*status 9/),
        },
      ],
    });
  });
});

const socket = '$PLUGIN_UNIX_SOCKET_DIR/socket';
const { certificate } = createOneTimeIdentity();
const says = (fields: Partial<Handshake>) =>
  `echo "${formatHandshake({ coreVersion: 1, protocolVersion: 1, network: 'unix', address: socket, protocol: 'grpc', ...fields })}"`;

const broken: readonly (readonly [string, readonly string[], string, RegExp])[] = [
  ['prints noise first', ['echo "Starting up..."', 'sleep 60'], 'handshake', /not a handshake .*"Starting up\.\.\."/],
  ['exits at once', ['echo "no key" >&2', 'exit 3'], 'start', /^it exited with status 3 before .*"no key"$/],
  ['never writes a handshake', ['sleep 60'], 'start', /no handshake on stdout within 1 s/],
  ['is from before SPIRE 1.0', [`echo "1|1|unix|${socket}"`, 'sleep 60'], 'handshake', /"netrpc", not "grpc"/],
  ['speaks another version', [says({ protocolVersion: 2 }), 'sleep 60'], 'handshake', /version 2 of the plugin prot/],
  ['offers a certificate unasked', [says({ certificate }), 'sleep 60'], 'handshake', /TLS certificate, which was not/],
  ['names a socket that is not there', [says({}), 'sleep 60'], 'socket', /which is not there/],
  ['names a socket elsewhere', [says({ address: '/dev/null' }), 'sleep 60'], 'socket', /outside the folder/],
];

describe('a plugin with no more than a host needs', () => {
  const NOTIFIER = 'spire.plugin.server.notifier.v1.Notifier';
  const CONFIG = 'spire.service.common.config.v1.Config';

  test('can be loaded; what it is without is told', async () => {
    const args = ['well', NOTIFIER, CONFIG, 'company.Extra'];
    const inspection = await inspectOurs('../plugin-host/odd-plugin.ts', { args, configFile: '/dev/null' });
    expect(inspection).toMatchObject({
      loadable: true,
      kinds: [{ side: 'server', type: 'Notifier' }],
      services: [NOTIFIER, CONFIG, 'company.Extra'],
      configured: true,
      optional: { health: false, stdio: false, validate: false, deinit: false },
      warnings: [
        { step: 'services', message: 'it serves "company.Extra", which hosts pass over' },
        { step: 'end', message: 'it did not end within 2 s and had to be killed' },
      ],
      autoMtls: { works: false, reason: expect.stringContaining('no TLS certificate') },
    });
  });

  test.each([
    ['says that it is not well', ['sick', NOTIFIER], 'health', /answers 2, which is not SERVING$/],
    ['serves nothing', ['well'], 'services', /^it serves no kind of plugin: its services are none$/],
    ['serves no kind', ['well', CONFIG, 'a.B'], 'services', /^it serves no kind of plugin: its services are "a\.B"$/],
    [
      'serves another version',
      ['well', NOTIFIER.replace('v1', 'v2')],
      'services',
      /\.v2\.Notifier": version 2 of an interface, hosts take version 1$/,
    ],
    ['claims too much', ['well', ...Array(65).fill('a.B')], 'services', /claims 65 services, more than 64$/],
  ])('%s', async (_what, args, step, message) => {
    await expect(inspectOurs('../plugin-host/odd-plugin.ts', { args })).resolves.toMatchObject({
      loadable: false,
      kinds: [],
      problems: [{ step, message: expect.stringMatching(message) }],
    });
  });

  test('takes no configuration, and is given one', async () => {
    const args = ['well', NOTIFIER];
    await expect(inspectOurs('../plugin-host/odd-plugin.ts', { args, configFile: '/dev/null' })).resolves.toMatchObject(
      {
        loadable: false,
        configured: false,
        problems: [{ step: 'configuration', message: expect.stringContaining('remove its plugin_data') }],
      },
    );
  });
});

describe('a plugin that is broken', () => {
  test.each(broken)('%s', async (_what, lines, step, message) => {
    const inspection = await inspect({ command: await script(...lines), handshakeDeadlineMs: 1_000 });
    expect(inspection).toMatchObject({
      loadable: false,
      kinds: [],
      problems: [{ step, message: expect.stringMatching(message) }],
    });
  });

  test('is no file', async () => {
    await expect(inspect({ command: folder.join('nothing') })).resolves.toMatchObject({
      loadable: false,
      problems: [{ step: 'start', message: expect.stringMatching(/^cannot run ".*\/nothing"/) }],
    });
  });
});

test('nothing is left of what was looked at', async () => {
  const names = await readdir(tmpdir());
  expect(names.filter((name) => name.startsWith(`assayer-${hostTag()}-`))).toEqual([]);
});
