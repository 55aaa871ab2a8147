import { once } from 'node:events';
import { chown, link, mkdir, realpath, rename, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PinnedSocket } from '../../src/plugin-host/pinned-socket.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

const userId = process.geteuid?.() ?? 0;

let resources: AsyncDisposableStack;
let temporary: TemporaryFolder;
let folder: string;
beforeEach(async () => {
  resources = new AsyncDisposableStack();
  temporary = resources.use(await createTemporaryFolder());
  folder = await realpath(temporary.path);
});
afterEach(() => resources.disposeAsync());

/** A socket that says who it is. */
async function listen(path: string, name: string): Promise<string> {
  const server = createServer((socket) => socket.end(name));
  resources.defer(() => void server.close());
  server.listen(path);
  await once(server, 'listening');
  return path;
}

const pin = async (path: string, user = userId) =>
  resources.use(await PinnedSocket.open(path, { folder, userId: user }));
const ask = (path: string) => text(connect(path));

test('leads to the socket that it was, whatever is put under its name', async () => {
  const path = await listen(`${folder}/own`, 'own');
  const other = await listen(`${folder}/other`, 'other');
  const pinned = await pin(path);
  await rename(path, `${folder}/elsewhere`);
  await symlink(other, path);
  expect(await ask(path)).toBe('other');
  expect(await ask(pinned.path)).toBe('own');
});

test('lets go of it in the end', async () => {
  const pinned = await pin(await listen(`${folder}/own`, 'own'));
  await pinned[Symbol.asyncDispose]();
  await expect(ask(pinned.path)).rejects.toMatchObject({
    code: expect.stringMatching(/^(ENOENT|ECONNREFUSED)$/), // the number may be another descriptor's by then
  });
});

test.each<readonly [string, (path: string) => Promise<unknown>, RegExp]>([
  ['nothing', async () => {}, /which is not there$/],
  ['a file', (path) => writeFile(path, ''), /which is not a socket$/],
  ['a folder', (path) => mkdir(path), /which is not a socket$/],
  [
    'a link to a socket of the folder',
    async (path) => await symlink(await listen(`${folder}/other`, 'other'), path),
    /which is not a socket$/,
  ],
])('refuses %s', async (_what, make, message) => {
  const path = `${folder}/own`;
  await make(path);
  await expect(pin(path)).rejects.toMatchObject({
    code: 'PLUGIN_PROTOCOL',
    message: expect.stringMatching(message),
  });
});

test('refuses what lies in another folder, by a link too', async () => {
  await mkdir(`${folder}/deep`);
  const path = await listen(`${folder}/deep/own`, 'own');
  await symlink(`${folder}/deep`, `${folder}/short`);
  for (const named of [path, `${folder}/short/own`, `${folder}/short/../deep/own`]) {
    await expect(pin(named)).rejects.toThrow(/outside the folder that PLUGIN_UNIX_SOCKET_DIR/);
  }
});

test.runIf(userId === 0)('refuses the socket of another user, that has a second name in the folder', async () => {
  await mkdir(`${folder}/deep`);
  const other = await listen(`${folder}/deep/other`, 'other');
  await link(other, `${folder}/own`);
  await chown(other, 54_321, 54_321);
  await expect(pin(`${folder}/own`)).rejects.toThrow(/which belongs to user 54321, not 0$/);
});
