import { chmod, mkdir, realpath, stat } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Logger } from '../log/logger.ts';
import { isSpiffeError, messageOf } from '../spiffe/error.ts';
import type { UnixPeer } from './peer.ts';
import { openUnixPeer } from './pidfd.ts';
import { removeStaleSocket, unusable } from './stale-socket.ts';

export interface UnixListenerOptions {
  readonly path: string;
  /** Permission bits of the socket; who may write may connect. */
  readonly mode: number;
  /** Permission bits of its folder, should that be missing; 0755 by default. */
  readonly folderMode?: number;
  readonly log: Logger;
  /** Takes over the socket. `peer` is disposed when the socket closes. */
  onConnection(socket: Socket, peer: UnixPeer): void;
}

/** A socket that is listened on. Disposing stops that and removes its file; connections are their receiver's. */
export interface UnixListener extends AsyncDisposable {
  readonly path: string;
}

/** `sun_path` of unix(7) less its final zero byte. */
const MAX_PATH_BYTES = 107;
const ROOT = 0;

/**
 * Listens on a Unix socket. A file that a dead process left there is removed; one that somebody listens on is not.
 *
 * @throws SpiffeError `SOCKET_UNUSABLE`, saying what to do.
 */
export async function listenUnix(options: UnixListenerOptions): Promise<UnixListener> {
  const { path, mode, folderMode = 0o755 } = options;
  requireUsablePath(path);
  await createFolder(dirname(path), folderMode);
  await requireOwnFolders(path, options.log);
  await removeStaleSocket(path);
  const server = createServer((socket) => identify(socket, options));
  await listen(server, path, mode);
  server.on('error', (error) => options.log.warning('a connection was not accepted', { path, reason: error.message }));
  let closed: Promise<void> | undefined;
  return {
    path,
    [Symbol.asyncDispose]: () => {
      // Node takes the file away with the listening handle; `close` itself waits for every connection, we do not.
      closed ??= new Promise((resolve) => {
        server.close();
        setImmediate(resolve);
      });
      return closed;
    },
  };
}

function requireUsablePath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_PATH_BYTES) {
    throw unusable(path, `its path has ${bytes} bytes and the limit is ${MAX_PATH_BYTES}, choose a shorter one`);
  }
  if (path === '' || path.includes('\0')) throw unusable(path, 'its path is empty or holds a zero byte');
}

async function createFolder(folder: string, mode: number): Promise<void> {
  try {
    await mkdirWithParents(folder, mode);
  } catch (cause) {
    throw unusable(folder, `its folder cannot be created: ${messageOf(cause)}`, cause);
  }
}

/**
 * Who owns a folder on the way, or may write to it, may put a socket of his own in the place of this one, and answer in its name: in /tmp,
 * whoever makes the folder first.
 */
async function requireOwnFolders(path: string, log: Logger): Promise<void> {
  const user = process.geteuid?.() ?? ROOT;
  let folder = await realpath(dirname(path));
  for (;;) {
    const { uid, mode } = await stat(folder);
    if (uid !== ROOT && uid !== user) {
      throw unusable(path, `the folder "${folder}" belongs to user ${uid}, remove it or choose one of your own`);
    }
    if ((mode & 0o1002) === 0o002) {
      // Not refused: a volume of Kubernetes is so, which only the pod's own containers see.
      log.warning('every user may put another socket in the place of this one: run chmod o-w on the folder', {
        path,
        folder,
      });
    }
    if (folder === dirname(folder)) return;
    folder = dirname(folder);
  }
}

/** Node's own `recursive` never returns below a folder that answers ENOENT to every name, such as /proc. */
async function mkdirWithParents(folder: string, mode: number): Promise<void> {
  if (await isFolder(folder)) return;
  const parent = dirname(folder);
  if (parent !== folder) await mkdirWithParents(parent, mode);
  try {
    await mkdir(folder, mode);
    await chmod(folder, mode); // whatever the umask is
  } catch (error) {
    if (!(await isFolder(folder))) throw error; // otherwise somebody else was faster
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

async function listen(server: Server, path: string, mode: number): Promise<void> {
  const listening = new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (cause) => reject(unusable(path, messageOf(cause), cause)));
  });
  // `listen` binds before it returns, so the file never has other permissions than these.
  const umask = process.umask(0o777 & ~mode);
  try {
    server.listen(path);
  } finally {
    process.umask(umask);
  }
  await listening;
  server.removeAllListeners('error');
}

function identify(socket: Socket, { path, log, onConnection }: UnixListenerOptions): void {
  try {
    const peer = openUnixPeer(socket);
    socket.once('close', () => peer[Symbol.dispose]());
    onConnection(socket, peer);
  } catch (error) {
    socket.destroy();
    if (!isSpiffeError(error)) throw error;
    log.warning('a connection was refused', { path, reason: error.message });
  }
}
