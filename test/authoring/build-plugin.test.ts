import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BuildOptions, buildPlugin } from '../../src/authoring/build-plugin/index.ts';
import { inspectPlugin } from '../../src/authoring/inspect/index.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { runCli } from '../cli/run-cli.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { JOIN_TOKEN, pluginConfig, TestHost } from '../plugin-host/go-plugins.ts';
import { loadAgent, requireLoaded } from '../plugin-host/implementations.ts';

const root = join(import.meta.dirname, '..', '..');
const sdk = JSON.stringify(join(root, 'src', 'plugin-sdk', 'index.ts'));
const { signal } = new AbortController();

/** An attestor that says what it can read of the file that it is configured with. */
const ATTESTOR = `
import { readFile } from 'node:fs/promises';
import { defineWorkloadAttestor, servePlugin, z } from ${sdk};
await servePlugin(defineWorkloadAttestor({
  name: 'mine',
  config: z.strictObject({ path: z.string().optional() }),
  configure: (config) => config,
  attest: async (pid, { path }) => {
    const own = [\`pid:\${pid}\`, \`built:\${import.meta.url.endsWith('.ts') ? 'no' : 'yes'}\`];
    if (path === undefined) return own;
    return [...own, await readFile(path, 'utf8').then(() => 'read:yes', (error) => \`read:\${error.code}\`)];
  },
}));`;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

let projects = 0;
/** A project of its own with these files. @returns its folder */
async function project(files: Readonly<Record<string, string>>): Promise<string> {
  const path = folder.join(`project-${projects++}`);
  await mkdir(path);
  for (const [name, text] of Object.entries({ 'package.json': '{}', ...files }))
    await writeFile(join(path, name), text);
  return path;
}

async function build(files: Readonly<Record<string, string>>, options: Partial<BuildOptions> = {}) {
  const path = await project(files);
  return await buildPlugin({ entry: join(path, 'main.ts'), node: process.execPath, ...options });
}

const inspect = (command: string) => inspectPlugin({ command, args: [], trustDomain: parseTrustDomain('example.org') });
const manifest = (sandbox: object) =>
  JSON.stringify({ name: 'mine', version: '1.0.0', side: 'agent', kind: 'WorkloadAttestor', sandbox });

describe('a plugin that is built', () => {
  let built: Awaited<ReturnType<typeof build>>;
  beforeAll(async () => {
    built = await build({ 'main.ts': ATTESTOR });
  });

  test('is one executable file, measured', async () => {
    const file = await readFile(built.path);
    expect(built).toMatchObject({
      path: join(folder.path, 'project-0', 'dist', 'project-0'),
      bytes: file.length,
      checksum: createHash('sha256').update(file).digest('hex'),
      inspection: { loadable: true, kinds: [{ side: 'agent', type: 'WorkloadAttestor' }], problems: [], warnings: [] },
      warnings: [],
    });
    expect(built.manifest).toBeUndefined();
    expect(built.inspection.memoryBytes).toBeGreaterThan(1_000_000);
    expect(file.subarray(0, file.indexOf('\n')).toString()).toBe(`#!${process.execPath}`);
    expect((await stat(built.path)).mode & 0o777).toBe(0o755);
    expect(await readdir(join(built.path, '..'))).toEqual(['project-0']);
  });

  test.each([
    ['a folder without a package', 'plain', undefined, 'plugin'],
    ['a package of modules', 'modules', '{"type":"module"}', 'plugin'],
    ['a package of CommonJS', 'common', '{"type":"commonjs"}', 'plugin'],
    ['a package of CommonJS, as a module', 'common-mjs', '{"type":"commonjs"}', 'plugin.mjs'],
    ['a package of modules, as CommonJS', 'modules-cjs', '{"type":"module"}', 'plugin.cjs'],
  ])('runs alone in %s', async (_what, name, packageJson, fileName) => {
    await mkdir(folder.join(name));
    if (packageJson !== undefined) await writeFile(folder.join(`${name}/package.json`), packageJson);
    await copyFile(built.path, folder.join(`${name}/${fileName}`));
    expect(await inspect(folder.join(`${name}/${fileName}`))).toMatchObject({
      loadable: true,
      problems: [],
      warnings: [],
    });
  });

  test('starts from compiled code, and without it where Node refuses that', async () => {
    const [program, codeCache] = (await readFile(built.path, 'latin1')).split('\n//').slice(-3);
    expect(Buffer.from(codeCache ?? '', 'base64').length).toBeGreaterThan(100_000);
    const { Script } = await import('node:vm');
    const script = new Script(JSON.parse(program ?? ''), { cachedData: Buffer.from(codeCache ?? '', 'base64') });
    expect(script.cachedDataRejected).toBe(false);
    const other = folder.join('other-version');
    const spoiled = Buffer.from(codeCache ?? '', 'base64')
      .fill(0, 0, 64)
      .toString('base64');
    await writeFile(other, (await readFile(built.path, 'latin1')).replace(codeCache ?? '', spoiled), { mode: 0o755 });
    expect(await inspect(other)).toMatchObject({ loadable: true });
  });

  test('does its work in our host, its checksum pinned', async () => {
    const config = pluginConfig({
      type: 'WorkloadAttestor',
      name: 'mine',
      command: built.path,
      checksum: built.checksum,
    });
    await using catalog = await loadAgent(new TestHost(), [config]);
    expect(await requireLoaded(catalog.workloadAttestors[0]).attest(7, signal)).toEqual([
      { type: 'mine', value: 'pid:7' },
      { type: 'mine', value: 'built:yes' },
    ]);
  });

  test('every octet of it is under the checksum', async () => {
    const changed = folder.join('changed');
    await writeFile(changed, Buffer.concat([await readFile(built.path), Buffer.from('\n')]), { mode: 0o755 });
    const config = pluginConfig({ type: 'WorkloadAttestor', name: 'mine', command: changed, checksum: built.checksum });
    await expect(loadAgent(new TestHost(), [config])).rejects.toThrow(/plugin_checksum wants/);
  });
});

test('a plugin with software keys has its addon in it', async () => {
  const main = `
import { defineKeyManager, servePlugin, SoftwareKeys, z } from ${sdk};
await servePlugin(defineKeyManager({
  name: 'keys', side: 'agent', config: z.strictObject({}), configure: () => new SoftwareKeys(),
  generateKey: (id, type, keys) => keys.generate(id, type), findKey: async (id, keys) => keys.find(id),
  getKeys: async (keys) => keys.list(), signData: async (id, digest, options, keys) => keys.sign(id, digest, options),
}));`;
  const { path } = await build({ 'main.ts': main });
  await mkdir(folder.join('elsewhere'));
  await rename(path, folder.join('elsewhere/keys'));
  const config = pluginConfig({ type: 'KeyManager', name: 'keys', command: folder.join('elsewhere/keys') });
  const attestor = pluginConfig({
    type: 'WorkloadAttestor',
    name: 'any',
    command: process.execPath,
    args: [join(root, 'test/interop/sdk-plugins/workload-attestor.ts')],
  });
  await using catalog = await new TestHost().load('agent', [JOIN_TOKEN, attestor, config]);
  const key = await catalog.keyManager.generateKey('one', 'ec-p256');
  expect((await key.signDigest(Buffer.alloc(32), 'sha256')).length).toBeGreaterThan(60);
});

describe('the manifest of a built plugin', () => {
  test('goes beside it, with its Node, and confines it', async () => {
    const secret = folder.join('secret');
    await writeFile(secret, 'secret');
    const built = await build({ 'main.ts': ATTESTOR, 'manifest.json': manifest({ user: 'host' }) });
    expect(built.manifest?.path).toBe(`${built.path}.manifest.json`);
    const written = JSON.parse(await readFile(`${built.path}.manifest.json`, 'utf8'));
    expect(written.sandbox).toEqual({ user: 'host', readable: [process.execPath] });

    const attest = async (sandbox?: { readonly manifest?: boolean; readonly readable?: readonly string[] }) => {
      const whole = sandbox && { enabled: true, required: false, env: [], ...sandbox };
      const data = { text: `path = "${secret}"` };
      const config = pluginConfig({ type: 'WorkloadAttestor', name: 'mine', command: built.path, data });
      const host = new TestHost();
      await using catalog = await loadAgent(host, [whole === undefined ? config : { ...config, sandbox: whole }]);
      const selectors = await requireLoaded(catalog.workloadAttestors[0]).attest(7, signal);
      return selectors.map(({ value }) => value).find((value) => value.startsWith('read:'));
    };
    expect(await attest()).toMatch(/^read:(?:ENOENT|EACCES)$/);
    expect(await attest({ readable: [secret] })).toBe('read:yes');
    expect(await attest({ manifest: false })).toBe('read:yes');

    await chmod(`${built.path}.manifest.json`, 0o666);
    await expect(attest()).rejects.toThrow(/its manifest .* others may write it/);
    expect(await attest({ manifest: false })).toBe('read:yes');
  });

  test('is checked before anything is written', async () => {
    await expect(build({ 'main.ts': ATTESTOR, 'manifest.json': manifest({ devices: 'tpm' }) })).rejects.toThrow(
      /manifest\.json.*sandbox\.devices/,
    );
    const last = folder.join(`project-${projects - 1}`);
    expect((await readdir(last)).sort()).toEqual(['main.ts', 'manifest.json', 'package.json']);
  });
});

describe('what cannot be built', () => {
  const refused: readonly (readonly [string, Readonly<Record<string, string>>, Partial<BuildOptions>, RegExp])[] = [
    ['no entry', {}, {}, /main\.ts" is no file/],
    ['a mistake in the source', { 'main.ts': 'const = 1;' }, {}, /main\.ts:1:7: Expected identifier/],
    [
      'an import that is not there',
      { 'main.ts': "import 'nowhere';" },
      {},
      /main\.ts:1:8: Could not resolve "nowhere"/,
    ],
    ['a Node with a space in its path', { 'main.ts': ATTESTOR }, { node: '/opt/my node' }, /cannot stand behind #!/],
    ['a Node at a relative path', { 'main.ts': ATTESTOR }, { node: 'node' }, /cannot stand behind #!/],
    ['an output that Node does not run', { 'main.ts': '' }, { output: '/tmp/plugin.json' }, /would not read/],
    ['a folder as output', { 'main.ts': '' }, { output: '/tmp' }, /is a folder/],
    [
      'an output that cannot be',
      { 'main.ts': ATTESTOR },
      { output: '/proc/x/plugin' },
      /cannot make the folder "\/proc\/x"/,
    ],
    ['no such manifest', { 'main.ts': '' }, { manifest: '/nowhere/m.json' }, /cannot read the manifest/],
  ];
  test.each(refused)('%s', async (_what, files, options, message) => {
    await expect(build(files, options)).rejects.toThrow(message);
    expect(await readdir(folder.join(`project-${projects - 1}`))).not.toContain('dist');
  });

  test('where there is no space, the plugin of before stays', async ({ skip }) => {
    const small = folder.join('small');
    await mkdir(small);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', small], { stdio: 'ignore' });
    } catch {
      skip('a file system of its own cannot be mounted here');
    }
    try {
      await writeFile(join(small, 'plugin'), 'of before');
      await expect(build({ 'main.ts': ATTESTOR }, { output: join(small, 'plugin') })).rejects.toThrow(/cannot write/);
      expect(await readFile(join(small, 'plugin'), 'utf8')).toBe('of before');
      expect(await readdir(small)).toEqual(['plugin']);
    } finally {
      execFileSync('umount', [small]);
    }
  });
});

describe('plugin build', () => {
  test('prints what goes into a configuration', async () => {
    const path = await project({ 'main.ts': ATTESTOR });
    await symlink(root, folder.join('assayer'));
    const { code, stdout, stderr } = await runCli(['plugin', 'build', '-o', 'out/mine', 'main.ts'], { cwd: path });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(
      stdout
        .replace(/\d+ (ms|bytes)/g, 'N $1')
        .replace(/[\d.]+ MB/, 'N MB')
        .replace(/[0-9a-f]{64}/, 'SUM'),
    ).toBe(
      [
        `Plugin          : ${path}/out/mine`,
        'Kind            : WorkloadAttestor of the agent',
        'Size            : N bytes',
        'Handshake after : N ms',
        'Memory          : N MB',
        '',
        `plugin_cmd = "${path}/out/mine"`,
        'plugin_checksum = "SUM"',
        '',
      ].join('\n'),
    );
  });

  test('builds what does not start, and says so', async () => {
    const path = await project({ 'main.ts': "console.error('no key'); process.exit(3);" });
    const { code, stdout, stderr } = await runCli(['plugin', 'build', '-output', 'json', 'main.ts'], { cwd: path });
    expect(code).toBe(1);
    expect(stderr).toMatch(/is built and cannot be loaded: assayer plugin inspect says more/);
    expect(JSON.parse(stdout)).toMatchObject({
      loadable: false,
      problems: [{ step: 'start', message: expect.stringMatching(/status 3 .*"no key"/) }],
      warnings: [expect.stringMatching(/without compiled code.*: no key/)],
    });
  });

  test.each([
    ['no entry', [], /give one file/],
    ['two entries', ['a.ts', 'b.ts'], /give one file/],
    ['a Node that is none', ['-node', '/bin/true', 'a.ts'], /-node: ".*" is not Node 24 or later/],
    ['a Node that is not there', ['-node', '/nowhere/node', 'a.ts'], /-node: "\/nowhere\/node" does not run/],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stdout, stderr } = await runCli(['plugin', 'build', ...args]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
  });
});
