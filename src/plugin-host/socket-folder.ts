import { rmSync } from 'node:fs';
import { lstat, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { cleanUpOnExit } from './exit-cleanup.ts';

/** Room in `sun_path`, without its zero. Source: unix(7). */
const MAX_SOCKET_PATH_BYTES = 107;
/** Longest name that go-plugin gives a socket: `plugin` and a random 32-bit number; ours are shorter. */
const MAX_SOCKET_NAME_BYTES = '/plugin4294967295'.length;

/** A folder for the sockets between the host and one plugin process, closed to everybody else. */
export class SocketFolder implements AsyncDisposable {
  readonly path: string;

  readonly #noRest: Disposable;

  private constructor(path: string) {
    this.path = path;
    this.#noRest = cleanUpOnExit(() => rmSync(path, { recursive: true, force: true }));
  }

  /** @throws SpiffeError `SOCKET_UNUSABLE` */
  static async create(parent: string = tmpdir()): Promise<SocketFolder> {
    const folder = await makeFolder(parent); // mode 0700, by mkdtemp(3)
    if (Buffer.byteLength(folder) + MAX_SOCKET_NAME_BYTES > MAX_SOCKET_PATH_BYTES) {
      await rm(folder, { recursive: true });
      throw new SpiffeError(
        'SOCKET_UNUSABLE',
        `the temporary folder ${quoteText(parent)} has too long a path for sockets: set TMPDIR to a shorter one`,
      );
    }
    return new SocketFolder(folder);
  }

  join(name: string): string {
    return join(this.path, name);
  }

  /** @throws SpiffeError `PLUGIN_PROTOCOL` where `path` is not a socket in this very folder. */
  async requireOwnSocket(path: string): Promise<void> {
    const stats = await lstat(path).catch((cause: unknown) => {
      throw new SpiffeError(
        'PLUGIN_PROTOCOL',
        `its handshake names the socket ${quoteText(path)}, which is not there`,
        {
          cause,
        },
      );
    });
    if ((await realpath(dirname(path))) !== this.path) {
      throw new SpiffeError(
        'PLUGIN_PROTOCOL',
        `its handshake names the socket ${quoteText(path)}, outside the folder that PLUGIN_UNIX_SOCKET_DIR and TMPDIR give it`,
      );
    }
    if (!stats.isSocket()) {
      throw new SpiffeError('PLUGIN_PROTOCOL', `its handshake names ${quoteText(path)}, which is not a socket`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    this.#noRest[Symbol.dispose]();
  }
}

async function makeFolder(parent: string): Promise<string> {
  try {
    return await realpath(await mkdtemp(join(parent, 'assayer-')));
  } catch (cause) {
    throw new SpiffeError('SOCKET_UNUSABLE', `cannot make a folder for sockets in ${quoteText(parent)}`, { cause });
  }
}
