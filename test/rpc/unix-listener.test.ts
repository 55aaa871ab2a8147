import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import type { UnixPeer } from '../../src/rpc/peer.ts';
import { listenUnix, type UnixListener, type UnixListenerOptions } from '../../src/rpc/unix-listener.ts';
import { TestProcess } from '../harness/child-process.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

interface Connection {
  readonly socket: Socket;
  readonly peer: UnixPeer;
}

async function temporaryFolder(): Promise<TemporaryFolder> {
  const folder = await createTemporaryFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  return folder;
}

async function listen(options: Partial<UnixListenerOptions> & { path: string }) {
  const connections: Connection[] = [];
  const records: LogRecord[] = [];
  const listener = await listenUnix({
    mode: 0o600,
    log: new Logger((record) => records.push(record), 'debug'),
    onConnection: (socket, peer) => connections.push({ socket, peer }),
    ...options,
  });
  onTestFinished(async () => {
    await listener[Symbol.asyncDispose]();
    for (const { socket } of connections) socket.destroy();
  });
  const next = async (): Promise<Connection> => {
    await expect.poll(() => connections.length).toBeGreaterThan(0);
    const connection = connections.shift();
    if (connection === undefined) throw new Error('no connection');
    return connection;
  };
  return { listener, next, records };
}

const CONNECT = `const socket = require('net').createConnection(process.argv[1]); socket.on('close', () => process.exit());`;
const exists = async (path: string) => (await lstat(path).catch(() => undefined)) !== undefined;
const dispose = (listener: UnixListener) => listener[Symbol.asyncDispose]();

test('tells which process connected, whether it lives, and when it started', async () => {
  const path = (await temporaryFolder()).join('s');
  const { next } = await listen({ path });
  await using child = await TestProcess.node('-e', CONNECT, path);
  const { peer } = await next();
  expect(peer).toMatchObject({ kind: 'unix', pid: child.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8');
  expect(peer.startTimeTicks).toBe(Number(stat.split(' ')[21]));
  expect(peer.isAlive()).toBe(true);
});

/** Leaves its connection to a child and becomes another program once it is told to, as the same process. */
const HAND_ON = `
  const socket = require('net').createConnection(process.argv[1], () => {
    const hold = "new (require('net').Socket)({ fd: 3 }).resume()";
    require('child_process').spawn(process.execPath, ['-e', hold], { stdio: ['ignore', 'ignore', 'ignore', socket] });
    process.stdin.once('data', () => process.execve('/bin/sleep', ['sleep', '60']));
  });`;

test('a process that became another program is not the peer that connected', async () => {
  const path = (await temporaryFolder()).join('s');
  const { next } = await listen({ path });
  await using child = await TestProcess.start(process.execPath, ['-e', HAND_ON, path], 'ignore');
  const { peer, socket } = await next();
  expect(peer.isUnchanged()).toBe(true);
  child.writeLine('now');
  await expect.poll(() => peer.isUnchanged()).toBe(false);
  expect([peer.isAlive(), socket.destroyed]).toEqual([true, false]);
  await child.kill();
  expect([peer.isAlive(), peer.isUnchanged()]).toEqual([false, false]);
});

test.runIf(process.getuid?.() === 0)('nor is one that acts for another user or group', async () => {
  const path = (await temporaryFolder()).join('s');
  const { next } = await listen({ path });
  const connectAs = async (change: string) => {
    await using child = await TestProcess.node(
      '-e',
      `${CONNECT} process.stdin.once('data', () => process.${change}(65534))`,
      path,
    );
    const { peer } = await next();
    expect(peer.isUnchanged()).toBe(true);
    child.writeLine('now');
    await expect.poll(() => peer.isUnchanged()).toBe(false);
    expect(peer.isAlive()).toBe(true);
  };
  await connectAs('seteuid');
  await connectAs('setegid');
});

test('a peer that was killed is dead, and so is one whose connection closed', async () => {
  const path = (await temporaryFolder()).join('s');
  const { next } = await listen({ path });
  await using child = await TestProcess.node('-e', CONNECT, path);
  const killed = await next();
  await child.kill();
  expect(killed.peer.isAlive()).toBe(false);
  await using other = await TestProcess.node('-e', CONNECT, path);
  const closed = await next();
  const close = once(closed.socket, 'close');
  closed.socket.destroy();
  await close;
  expect(closed.peer.isAlive()).toBe(false);
  expect(await other.readLine()).toBeUndefined();
});

test('a caller that has ended before it was looked at is refused', async () => {
  const path = (await temporaryFolder()).join('s');
  const { records } = await listen({ path });
  const script = `require('net').createConnection(process.argv[1], () => process.exit())`;
  spawnSync(process.execPath, ['-e', script, path]); // this thread accepts nothing meanwhile
  await expect
    .poll(() => records.map(({ fields }) => fields.reason))
    .toEqual([expect.stringMatching(/^the caller, process \d+, has ended$/)]);
});

test.each([0o600, 0o660, 0o777])('the socket has mode %o whatever the umask, which is as before', async (mode) => {
  const folder = await temporaryFolder();
  for (const [index, umask] of [0o000, 0o022, 0o777].entries()) {
    const before = process.umask(umask);
    const path = folder.join(`${index}`);
    try {
      await listen({ path, mode });
      expect(process.umask()).toBe(umask);
    } finally {
      process.umask(before);
    }
    expect((await lstat(path)).mode & 0o777).toBe(mode);
  }
});

test('makes missing folders, and leaves the socket of nobody behind', async () => {
  const folder = await temporaryFolder();
  const path = folder.join('a/b/s');
  const { listener } = await listen({ path, folderMode: 0o750 });
  expect((await lstat(folder.join('a/b'))).mode & 0o777).toBe(0o750);
  await dispose(listener);
  await dispose(listener);
  expect(await readdir(folder.join('a/b'))).toEqual([]);
});

test('connections outlive the listener', async () => {
  const path = (await temporaryFolder()).join('s');
  const { listener, next } = await listen({ path });
  const client = createConnection(path);
  onTestFinished(() => {
    client.destroy();
  });
  const { socket, peer } = await next();
  await dispose(listener);
  socket.write('still here');
  const [data] = await once(client, 'data');
  expect(String(data)).toBe('still here');
  expect(peer.isAlive()).toBe(true);
});

test('takes over the socket of a process that was killed', async () => {
  const path = (await temporaryFolder()).join('s');
  const script = `require('net').createServer().listen(process.argv[1], () => console.log('ready'))`;
  await using child = await TestProcess.node('-e', script, path);
  expect(await child.readLine()).toBe('ready');
  await expect(listen({ path })).rejects.toThrow(/another process listens on it, stop that or choose another path$/);
  await child.kill();
  expect(await exists(path)).toBe(true);
  const { next } = await listen({ path });
  createConnection(path).destroy();
  expect((await next()).peer.pid).toBe(process.pid);
});

test('a socket that accepts nothing although somebody listens counts as in use', async () => {
  const path = (await temporaryFolder()).join('s');
  const script = `require('net').createServer().listen(process.argv[1], () => console.log('ready'))`;
  await using child = await TestProcess.node('-e', script, path);
  await child.readLine();
  child.freeze();
  await expect(listen({ path })).rejects.toThrow(/another process listens on it/);
  expect(await exists(path)).toBe(true);
});

const unusable: readonly (readonly [string, (folder: TemporaryFolder) => Promise<string>, RegExp])[] = [
  [
    'a path that is short in characters and long in bytes',
    async (folder) => folder.join('é'.repeat(60)),
    /its path has \d+ bytes and the limit is 107/,
  ],
  ['a folder that nobody can make', async () => '/proc/none/s', /its folder cannot be created: .*ENOENT/],
  ['an empty path', async () => '', /its path is empty/],
  ['a path with a zero byte', async (folder) => folder.join('a\0b'), /zero byte/],
  [
    'a file that is no socket',
    async (folder) => {
      await writeFile(folder.join('file'), 'kept');
      return folder.join('file');
    },
    /something that is no socket is there/,
  ],
  [
    'a link',
    async (folder) => {
      await symlink('/dev/null', folder.join('link'));
      return folder.join('link');
    },
    /something that is no socket is there/,
  ],
  [
    'a folder below a file',
    async (folder) => {
      await writeFile(folder.join('file'), '');
      return folder.join('file/s');
    },
    /its folder cannot be created: .*(EEXIST|ENOTDIR)/,
  ],
];
test.each(unusable)('refuses %s', async (_what, makePath, message) => {
  const folder = await temporaryFolder();
  const path = await makePath(folder);
  await expect(listen({ path })).rejects.toThrow(
    expect.objectContaining({ code: 'SOCKET_UNUSABLE', message: expect.stringMatching(message) }),
  );
});

test('a path of 107 bytes is not too long', async () => {
  const folder = await temporaryFolder();
  const path = folder.join('x'.repeat(107 - folder.path.length - 1));
  expect(Buffer.byteLength(path)).toBe(107);
  await listen({ path });
  expect(await exists(path)).toBe(true);
});

test.runIf(process.getuid?.() === 0)('a folder of another user is none to listen in, nor is one below it', async () => {
  const folder = await temporaryFolder();
  const taken = folder.join('taken');
  await mkdir(taken);
  await chown(taken, 65534, 65534);
  const refusal = expect.objectContaining({
    code: 'SOCKET_UNUSABLE',
    message: expect.stringContaining('belongs to user 65534'),
  });
  await expect(listen({ path: `${taken}/s` })).rejects.toEqual(refusal);
  await expect(listen({ path: `${taken}/public/s` })).rejects.toEqual(refusal);
  await symlink(taken, folder.join('link'));
  await expect(listen({ path: folder.join('link/s') })).rejects.toEqual(refusal);
});

test('a folder in which everybody may replace the socket is told of; one where nobody can is not', async () => {
  const folder = await temporaryFolder();
  const open = folder.join('open');
  await mkdir(open);
  const warnings: LogRecord[] = [];
  const log = new Logger((record) => warnings.push(record), 'warning');
  for (const [name, mode] of [
    ['a', 0o755],
    ['b', 0o1777],
    ['c', 0o777],
  ] as const) {
    await chmod(open, mode);
    await using _ = await listenUnix({ path: `${open}/${name}`, mode: 0o700, log, onConnection: () => {} });
  }
  expect(warnings.map(({ message, fields }) => [message, fields])).toEqual([
    [expect.stringMatching(/run chmod o-w on the folder/), { path: `${open}/c`, folder: open }],
  ]);
});
