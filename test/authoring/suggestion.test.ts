import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Exercise,
  type Inspection,
  type InspectOptions,
  inspectPlugin,
} from '../../src/authoring/inspect/index.ts';
import { toManifestJson } from '../../src/authoring/suggest/index.ts';
import type { SandboxManifest } from '../../src/config/sandbox-config.ts';
import { KeyManagerDefinition, KeyType } from '../../src/gen/spire/plugin/server/keymanager/v1/keymanager.ts';
import { isWithin } from '../../src/plugin-host/sandbox/places.ts';
import { diskManifest } from '../../src/plugins/disk/manifest.ts';
import { memoryManifest } from '../../src/plugins/memory/manifest.ts';
import { tpmAgentManifest, tpmServerManifest } from '../../src/plugins/tpm/manifest.ts';
import { unixManifest } from '../../src/plugins/unix/manifest.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { Swtpm } from '../../src/testing/swtpm.ts';
import { builtPlugin, PLUGIN_SDK } from '../harness/built-programs.ts';
import { describeWithGo } from '../harness/requires.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { type GoPlugin, goPlugin } from '../plugin-host/go-plugins.ts';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const isRoot = process.getuid?.() === 0;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

let files = 0;
async function write(text: string): Promise<string> {
  const path = folder.join(`file-${files++}`);
  await writeFile(path, text);
  return path;
}

/** Of a trial that fails, a test prints the step and the reason. */
const WORKS = { works: true, untried: expect.any(Array) };

type Suggested = NonNullable<Inspection['suggestion']>;

async function suggest(options: Partial<InspectOptions> & Pick<InspectOptions, 'command'>): Promise<Suggested> {
  const trustDomain = parseTrustDomain('example.org');
  const inspection = await inspectPlugin({ args: [], trustDomain, suggest: true, ...options });
  expect(inspection).toMatchObject({ problems: [], warnings: [] });
  return inspection.suggestion ?? expect.fail('there is no suggestion');
}

/** A plugin of ours: its package is this checkout. */
async function suggestOurs(
  path: string,
  configuration: string,
  options: Partial<InspectOptions> = {},
): Promise<Suggested> {
  const configFile = await write(configuration);
  return await suggest({ command: process.execPath, args: [path], configFile, ...options });
}

/** What a suggestion has that a manifest does not give; what its package has aside. */
function beyond({ manifest }: Suggested, given: SandboxManifest | undefined): readonly string[] {
  const allowed = given ?? expect.fail('there is no manifest');
  const outside = (paths: readonly string[], places: readonly string[] = []) =>
    paths.filter((path) => ![root, ...places].some((place) => isWithin(path, place)));
  const widths = { none: 0, unix: 1, all: 2 };
  return [
    ...outside(manifest.readable, [...(allowed.readable ?? []), ...(allowed.writable ?? [])]),
    ...outside(manifest.writable, allowed.writable).map((path) => `writes ${path}`),
    ...outside(manifest.devices, allowed.devices),
    ...manifest.capabilities.filter((name) => !allowed.capabilities?.includes(name)),
    ...(manifest.allProcesses && allowed.allProcesses !== true ? ['processes of others'] : []),
    ...(widths[manifest.network] > widths[allowed.network] ? [`network ${manifest.network}`] : []),
    ...(manifest.user === 'host' && allowed.user === 'own' ? ['the host’s user'] : []),
  ];
}

const generateKey: Exercise = async (connection) => {
  const client = connection.client(KeyManagerDefinition);
  const { publicKey } = await client.generateKey({ keyId: 'one', keyType: KeyType.EC_P256 }, { deadlineMs: 10_000 });
  expect(publicKey?.id).toBe('one');
};

describe('the suggestion for a built-in plugin is no wider than its own manifest, and it works with it', () => {
  test('KeyManager "memory", making a key', async () => {
    const suggestion = await suggestOurs(builtPlugin('server', 'memory'), '', { exercise: generateKey });
    expect(beyond(suggestion, memoryManifest())).toEqual([]);
    expect(suggestion.trial).toEqual(WORKS);
    expect(suggestion.limits.memoryBytes).toBeLessThanOrEqual(2 ** 30);
    expect(suggestion.limits.processes).toBeLessThanOrEqual(256);
  });

  test('KeyManager "disk", making a key', async () => {
    const keys = folder.join('keys');
    await mkdir(keys, { mode: 0o700 });
    const configuration = `keys_path = "${keys}/keys.json"`;
    const suggestion = await suggestOurs(builtPlugin('server', 'disk'), configuration, { exercise: generateKey });
    expect(suggestion.manifest.writable).toEqual([keys]);
    expect(beyond(suggestion, diskManifest(configuration))).toEqual([]);
    expect(suggestion.trial).toEqual(WORKS);
    expect(await readdir(keys)).toEqual(['keys.json']);
  });

  test('NodeAttestor "tpm" of the server', async () => {
    await using tpm = await Swtpm.start({ ek: ['rsa-2048'] });
    const configuration = `virtual_ca_path = "${tpm.caPath}"`;
    const suggestion = await suggestOurs(builtPlugin('server', 'tpm'), configuration);
    expect(suggestion.manifest.readable).toContain(tpm.caPath);
    expect(beyond(suggestion, tpmServerManifest(configuration))).toEqual([]);
    expect(suggestion.trial).toEqual(WORKS);
  });

  test('NodeAttestor "tpm" of the agent, beginning to attest', async () => {
    await using tpm = await Swtpm.start({ ek: ['rsa-2048'] });
    const configuration = `tcti = "${tpm.tcti}"`;
    const suggestion = await suggestOurs(builtPlugin('agent', 'tpm'), configuration);
    expect(suggestion.manifest.readable).toContain(tpm.folder);
    expect(beyond(suggestion, tpmAgentManifest(configuration))).toEqual([]);
    expect(suggestion.trial).toEqual(WORKS);
  });

  test('WorkloadAttestor "unix", attesting', async () => {
    const configuration = 'discover_workload_path = true';
    const suggestion = await suggestOurs(builtPlugin('agent', 'unix'), configuration);
    expect(suggestion.manifest).toMatchObject({ allProcesses: true, capabilities: ['SYS_PTRACE'] });
    expect(suggestion.notes).toContainEqual({
      about: 'capabilities',
      message: 'SYS_PTRACE is a guess: it read /proc/*/exe of others',
    });
    expect(beyond(suggestion, unixManifest(configuration))).toEqual([]);
    expect(suggestion.trial).toEqual(WORKS);
  });
});

describeWithGo('a Go plugin, which reads nothing, is suggested to have nothing', () => {
  test.each<readonly [GoPlugin]>([['svid-store'], ['key-manager'], ['upstream-authority'], ['notifier']])(
    '%s',
    async (name) => {
      const suggestion = await suggest({ command: await goPlugin(name) });
      expect(suggestion.manifest).toEqual({
        ...{ user: 'own', readable: [], writable: [], devices: [], network: 'none', capabilities: [] },
        allProcesses: false,
      });
      expect(toManifestJson(suggestion)).toMatchObject({
        sandbox: { user: 'own', network: 'none', processes: expect.any(Number) },
      });
      expect(suggestion.trial).toEqual(WORKS);
      expect(suggestion.trial?.untried).toEqual(isRoot ? [] : [expect.stringMatching(/^user: /)]);
    },
  );
});

describeWithGo('a Go plugin that looks at processes', () => {
  test('is suggested to see them', async () => {
    const suggestion = await suggest({ command: await goPlugin('workload-attestor') });
    expect(suggestion.manifest).toMatchObject({ allProcesses: true, readable: [], network: 'none' });
    expect(suggestion.trial).toEqual(WORKS);
  });
});

describe('a plugin that does everything in its configuration', () => {
  /** The body of `configure`, with Node's modules at hand. */
  async function suggestFor(body: string): Promise<Suggested> {
    const program = await write(`
      import fs from 'node:fs';
      import net from 'node:net';
      import { execFileSync } from 'node:child_process';
      import { Worker } from 'node:worker_threads';
      import { once } from 'node:events';
      import { servePlugin, defineNotifier, z } from ${JSON.stringify(PLUGIN_SDK)};
      await servePlugin(defineNotifier({
        name: 'busy', config: z.strictObject({}),
        configure: async () => { ${body} },
        notify: async () => {}, notifyAndAdvise: async () => {},
      }));`);
    return await suggest({ command: process.execPath, args: [program], configFile: await write('') });
  }
  const own = (paths: readonly string[]) => paths.filter((path) => isWithin(path, folder.path));

  test('files: the folder of several, the one of one; what it writes: the folder', async () => {
    for (const name of ['several', 'single', 'state']) await mkdir(folder.join(name), { recursive: true });
    for (const name of ['several/a', 'several/b', 'single/only']) await writeFile(folder.join(name), '');
    const at = (name: string) => JSON.stringify(folder.join(name));
    const suggestion = await suggestFor(`
      for (const path of [${at('several/a')}, ${at('several/b')}, ${at('single/only')}]) fs.readFileSync(path);
      fs.mkdirSync(${at('state/deep/er')}, { recursive: true });
      fs.writeFileSync(${at('state/deep/er/new')}, '');
      fs.renameSync(${at('state/deep/er/new')}, ${at('state/deep/er/newer')});
      fs.rmSync(${at('state/deep')}, { recursive: true });`);
    expect(own(suggestion.manifest.readable)).toEqual([folder.join('several'), folder.join('single/only')]);
    expect(suggestion.manifest.writable).toEqual([folder.join('state')]);
    expect(suggestion.trial).toEqual(WORKS);
  });

  test('what a child and a thread read', async () => {
    await mkdir(folder.join('inherited'), { recursive: true });
    await writeFile(folder.join('inherited/of-child'), '');
    await writeFile(folder.join('inherited/of-thread'), '');
    const suggestion = await suggestFor(`
      execFileSync('/bin/cat', [${JSON.stringify(folder.join('inherited/of-child'))}]);
      const source = "require('fs').readFileSync(" + JSON.stringify(${JSON.stringify(folder.join('inherited/of-thread'))}) + ")";
      await once(new Worker(source, { eval: true }), 'exit');`);
    expect(own(suggestion.manifest.readable)).toEqual([folder.join('inherited')]);
    expect(suggestion.trial).toEqual(WORKS);
  });

  test('a TCP connection is a network; a Unix socket is a folder', async () => {
    const server = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const suggestion = await suggestFor(`await once(net.connect(${port}, '127.0.0.1').resume(), 'close');`);
    await new Promise((resolve) => server.close(resolve));
    expect(suggestion.manifest.network).toBe('all');
    expect(suggestion.notes).toContainEqual({ about: 'network', message: `connect 127.0.0.1:${port}` });
    // Nobody listens any more: the trial finds what the plugin finds.
    await mkdir(folder.join('sockets'), { recursive: true });
    const unix = createServer((socket) => socket.end()).listen(folder.join('sockets/s'));
    const other = await suggestFor(
      `await once(net.connect(${JSON.stringify(folder.join('sockets/s'))}).resume(), 'close');`,
    );
    await new Promise((resolve) => unix.close(resolve));
    expect(own(other.manifest.readable)).toEqual([folder.join('sockets')]);
    expect(other.manifest).toMatchObject({ network: 'none', user: 'host' });
    expect(other.trial).toEqual(WORKS);
  });

  test('what cannot be given is said, and the trial tells that the plugin does not do without', async () => {
    const suggestion = await suggestFor(`
      if (!fs.readdirSync('/etc').includes('shadow')) throw new Error('no shadow here');`);
    expect(suggestion.notes).toContainEqual({
      about: 'readable',
      message: 'it lists "/etc", which is left out: all in there could be read',
    });
    expect(suggestion.trial).toMatchObject({ works: false, step: 'configuration', reason: expect.any(String) });
  });
});
