import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { PluginConfig } from '../../src/config/plugins.ts';
import { createOneTimeIdentity } from '../../src/rpc/auto-mtls.ts';
import { formatHandshake } from '../../src/rpc/handshake.ts';
import { eventually } from '../harness/eventually.ts';
import { pluginConfig, SQL, TestHost } from './go-plugins.ts';
import { isGone } from './is-gone.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assayer-hostile-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

let scripts = 0;
/** An executable of the given lines of shell, which first says its process ID and its folder in files. */
async function script(...lines: readonly string[]): Promise<{ command: string; pidFile: string; folderFile: string }> {
  const command = join(folder, `plugin-${scripts++}`);
  const pidFile = `${command}.pid`;
  const folderFile = `${command}.folder`;
  const prologue = ['#!/bin/sh', `echo $$ > ${pidFile}`, `printf %s "$PLUGIN_UNIX_SOCKET_DIR" > ${folderFile}`];
  await writeFile(command, [...prologue, ...lines, ''].join('\n'));
  await chmod(command, 0o755);
  return { command, pidFile, folderFile };
}

async function load(config: Partial<PluginConfig>, host = new TestHost()) {
  const keyManager = pluginConfig({ type: 'KeyManager', name: 'bad', ...config });
  const deadlines = { handshakeMs: 2_000, connectMs: 2_000, graceMs: 300 };
  await using catalog = await host.load('server', [SQL, keyManager], { deadlines });
  return catalog.plugins;
}

const socket = '$PLUGIN_UNIX_SOCKET_DIR/socket';
const certificate = createOneTimeIdentity().certificate;
const handshakeOf = (fields: Partial<Parameters<typeof formatHandshake>[0]>) =>
  `echo "${formatHandshake({ coreVersion: 1, protocolVersion: 1, network: 'unix', address: socket, protocol: 'grpc', ...fields })}"`;

const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['prints noise first', ['echo "Starting up..."', 'sleep 60'], /not a handshake .*"Starting up\.\.\."/],
  [
    'exits at once',
    ['echo "cannot find my key" >&2', 'exit 3'],
    /exited with status 3 before its handshake; .*"cannot find my key"/,
  ],
  ['exits silently', ['exit 0'], /exited with status 0 before its handshake; it wrote nothing to stderr/],
  ['is ended by a signal', ['kill -TERM $$'], /was ended by SIGTERM before its handshake/],
  ['never answers', ['sleep 60'], /wrote no handshake on stdout within 2 s/],
  ['closes stdout and stays', ['exec >&-', 'sleep 60'], /wrote no handshake on stdout within 2 s/],
  ['writes half a line', ['printf "1|1|unix"', 'sleep 60'], /wrote no handshake on stdout within 2 s/],
  ['writes a line of 10 MB', ['head -c 10000000 /dev/zero | tr "\\0" x', 'sleep 60'], /longer than 16384 bytes/],
  [
    'offers a certificate in field 6',
    [handshakeOf({ certificate }), 'sleep 60'],
    /TLS certificate, which was not asked for/,
  ],
  ['offers garbage in field 6', [`echo "1|1|unix|${socket}|grpc|${'%'.repeat(60)}"`, 'sleep 60'], /not base64/],
  ['speaks another go-plugin', [handshakeOf({ coreVersion: 2 }), 'sleep 60'], /go-plugin's protocol 2/],
  ['speaks another version', [handshakeOf({ protocolVersion: 0 }), 'sleep 60'], /version 0 of the plugin protocol/],
  ['is from before SPIRE 1.0', [`echo "1|1|unix|${socket}"`, 'sleep 60'], /"netrpc", not "grpc"/],
  [
    'listens on TCP',
    [handshakeOf({ network: 'tcp', address: '127.0.0.1:1' }), 'sleep 60'],
    /only a Unix socket is taken/,
  ],
  ['names a socket that is not there', [handshakeOf({}), 'sleep 60'], /which is not there/],
  ['names a file that is no socket', [`touch "${socket}"`, handshakeOf({}), 'sleep 60'], /not a socket/],
  ['writes a numeric @message', [`echo '{"@level":"info","@message":42}' >&2`, 'exit 1'], /last words on stderr: "42"/],
];

describe('a plugin that is broken or hostile', () => {
  test.each(refused)('%s: one clear line, and nothing is left', async (_what, lines, message) => {
    const { command, pidFile, folderFile } = await script(...lines);
    const failure = await load({ command }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'PLUGIN_NOT_LOADED',
      message: expect.stringMatching(message),
    });
    expect(failure).toMatchObject({ message: expect.stringMatching(/^failed to load plugin "bad": [^\n]*$/) });
    await eventually(async () => expect(isGone(Number(await readFile(pidFile, 'utf8')))).toBe(true));
    expect(existsSync(await readFile(folderFile, 'utf8'))).toBe(false);
  });

  test('names a socket outside its folder', async () => {
    const path = join(folder, 'other');
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(path, resolve));
    const { command } = await script(handshakeOf({ address: path }), 'sleep 60');
    await expect(load({ command })).rejects.toThrow(/outside the folder/);
    const linked = await script(`ln -s ${path} ${socket}`, handshakeOf({}), 'sleep 60');
    await expect(load({ command: linked.command })).rejects.toThrow(/not a socket/);
    listener.close();
  });

  test('listens and never answers', async () => {
    const program = join(folder, 'deaf.mjs');
    await writeFile(
      program,
      `import { createServer } from 'node:net';
       const path = process.env.PLUGIN_UNIX_SOCKET_DIR + '/deaf';
       createServer(() => {}).listen(path, () => console.log('1|1|unix|' + path + '|grpc'));`,
    );
    await expect(load({ command: process.execPath, args: [program] })).rejects.toThrow(
      /its socket took no connection within 2 s/,
    );
  });

  test('is killed with all that it started', async () => {
    const childFile = join(folder, 'child.pid');
    const { command } = await script('sleep 60 &', `echo $! > ${childFile}`, 'echo noise', 'wait');
    await expect(load({ command })).rejects.toThrow(/not a handshake/);
    await eventually(async () => expect(isGone(Number(await readFile(childFile, 'utf8')))).toBe(true));
  });

  test.each([
    ['is missing', { command: '/nowhere/plugin' }, /cannot run "\/nowhere\/plugin": .*check the path in plugin_cmd/],
    ['is a folder', { command: '/tmp' }, /"\/tmp" is a folder/],
    ['is not executable', { command: '/etc/passwd' }, /cannot run "\/etc\/passwd"/],
    ['is a command of the search path', { command: 'sh' }, /cannot run ".*\/sh"/],
    [
      'has another checksum',
      { command: '/bin/true', checksum: '0'.repeat(64) },
      /SHA-256 of "\/bin\/true" is [0-9a-f]{64}/,
    ],
  ])('%s', async (_what, config, message) => {
    await expect(load(config)).rejects.toMatchObject({
      code: 'PLUGIN_NOT_LOADED',
      message: expect.stringMatching(message),
    });
  });

  test('is cancelled while it starts', async () => {
    const { command, pidFile } = await script('sleep 60');
    const controller = new AbortController();
    const { signal } = controller;
    const keyManager = pluginConfig({ type: 'KeyManager', name: 'slow', command });
    const loading = new TestHost().load('server', [SQL, keyManager], { signal });
    const pid = await eventually(async () => {
      const text = await readFile(pidFile, 'utf8');
      expect(text).not.toBe('');
      return Number(text);
    });
    controller.abort();
    await expect(loading).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(isGone(pid)).toBe(true);
  });

  test('does not see what another host told this one', async () => {
    vi.stubEnv('PLUGIN_CLIENT_CERT', 'left over');
    vi.stubEnv('NodeAttestor', 'NodeAttestor');
    const { command } = await script('env >&2', 'exit 1');
    const host = new TestHost();
    await expect(load({ command }, host)).rejects.toThrow(/exited with status 1/);
    vi.unstubAllEnvs();
    const lines = host.records.map(({ message }) => message);
    expect(lines).toContain('KeyManager=KeyManager');
    expect(lines).toContain('PLUGIN_PROTOCOL_VERSIONS=1');
    expect(lines.filter((line) => /^(PLUGIN_CLIENT_CERT|NodeAttestor)=/.test(line))).toEqual([]);
  });
});

describe('a selection of plugins that a program cannot have', () => {
  test.each([
    ['no key manager', [SQL], /"KeyManager" constraint not satisfied: expected exactly 1 but got 0/],
    [
      'a name that is not built in',
      [SQL, pluginConfig({ type: 'KeyManager', name: 'floppy' })],
      /KeyManager "floppy" is not built in: name its executable with plugin_cmd/,
    ],
    [
      'a kind that the other program has',
      [SQL, pluginConfig({ type: 'SVIDStore', name: 's', command: '/bin/true' })],
      /"SVIDStore" is not a type of plugin that the server knows: known are DataStore, NodeAttestor, KeyManager, /,
    ],
    [
      'two upstream authorities',
      [SQL, ...['one', 'two'].map((name) => pluginConfig({ type: 'UpstreamAuthority', name, command: '/bin/true' }))],
      /"UpstreamAuthority" constraint not satisfied: expected at most 1 but got 2/,
    ],
    [
      'join_token with a command',
      [SQL, pluginConfig({ type: 'NodeAttestor', name: 'join_token', command: '/bin/true' })],
      /plugin_cmd cannot be used for NodeAttestor "join_token"/,
    ],
  ])('%s', async (_what, plugins, message) => {
    await expect(new TestHost().load('server', plugins)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
    });
  });

  test('a plugin that is not enabled is neither counted nor started', async () => {
    const off = pluginConfig({ type: 'KeyManager', name: 'off', command: '/nowhere', enabled: false });
    await expect(new TestHost().load('server', [SQL, off])).rejects.toThrow(/expected exactly 1 but got 0/);
  });
});
