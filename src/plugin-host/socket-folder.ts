import { constants, rmSync } from 'node:fs';
import { chmod, chown, copyFile, lstat, mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { cleanUpOnExit } from './exit-cleanup.ts';
import { PinnedSocket } from './pinned-socket.ts';
import { hostTag, isTagOfTheDead, TAG_PATTERN } from './sandbox/host-tag.ts';

/** Room in `sun_path`, without its zero. Source: unix(7). */
const MAX_SOCKET_PATH_BYTES = 107;
/** Longest name that go-plugin gives a socket: `plugin` and a random 32-bit number; ours are shorter. */
const MAX_SOCKET_NAME_BYTES = '/p/plugin4294967295'.length;
const PREFIX = 'assayer-';

/**
 * A folder for the sockets between the host and one plugin process, closed to everybody else. The host's are in it, which
 * the plugin cannot write; the plugin's are in a folder within.
 */
export class SocketFolder implements AsyncDisposable {
  readonly path: string;
  /** Where the plugin makes its sockets. */
  readonly pluginPath: string;
  /** Whom that belongs to; undefined for the host's user. */
  #userId: number | undefined;
  /** What {@link takeIn} took. */
  #executable: string | undefined;

  readonly #noRest: Disposable;
  readonly #alongside: (() => Promise<void>)[] = [];

  private constructor(path: string) {
    this.path = path;
    this.pluginPath = join(path, 'p');
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
    const made = new SocketFolder(folder);
    await mkdir(made.pluginPath, { mode: 0o700 });
    return made;
  }

  get userId(): number | undefined {
    return this.#userId;
  }

  /** Lets a plugin of that user reach its own part; undefined for the host's user. */
  async giveTo(userId: number | undefined): Promise<void> {
    if (userId === this.#userId) return;
    const owner = userId ?? process.geteuid?.() ?? 0;
    await chown(this.pluginPath, owner, owner);
    if (this.#executable !== undefined) await chown(this.#executable, process.geteuid?.() ?? 0, owner);
    await chmod(this.path, userId === undefined ? 0o700 : 0o711);
    this.#userId = userId;
  }

  /**
   * Makes a copy of an executable, of the same name, which its plugin may run and not even that may change.
   *
   * @returns its path
   */
  async takeIn(executable: string): Promise<string> {
    const folder = this.join('e');
    const copy = join(folder, basename(executable));
    await mkdir(folder);
    await copyFile(executable, copy, constants.COPYFILE_FICLONE);
    await chmod(copy, 0o550);
    await chmod(folder, 0o711);
    this.#executable = copy;
    return copy;
  }

  /** Clears away the folders of hosts that were killed. */
  static async removeStale(parent: string = tmpdir()): Promise<void> {
    const pattern = new RegExp(`^${PREFIX}${TAG_PATTERN}-[0-9A-Za-z]{6}$`);
    const names = await readdir(parent).catch(() => []);
    await Promise.all(
      names.map(async (name) => {
        const [, tag] = pattern.exec(name) ?? [];
        if (tag === undefined || !isTagOfTheDead(tag)) return;
        const path = join(parent, name);
        const found = await lstat(path).catch(() => undefined);
        if (!found?.isDirectory() || found.uid !== process.geteuid?.()) return;
        await rm(path, { recursive: true, force: true }).catch(() => {});
      }),
    );
  }

  /** The path of a socket of the host's. */
  join(name: string): string {
    return join(this.path, name);
  }

  /**
   * Holds on to the socket that a plugin made in this very folder, for as long as the folder is there.
   *
   * @returns a path that leads to it and nowhere else.
   * @throws SpiffeError `PLUGIN_PROTOCOL` where `path` is not a socket of the plugin's user in there.
   */
  async pinOwnSocket(path: string): Promise<string> {
    const userId = this.#userId ?? process.geteuid?.() ?? 0;
    const pinned = await PinnedSocket.open(path, { folder: this.pluginPath, userId });
    this.#alongside.push(() => pinned[Symbol.asyncDispose]());
    return pinned.path;
  }

  /** Something else that bears the name of this folder, and goes with it. */
  beforeRemoval(remove: () => Promise<void>): void {
    this.#alongside.push(remove);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#alongside.splice(0).map((remove) => remove()));
    await rm(this.path, { recursive: true, force: true });
    this.#noRest[Symbol.dispose]();
  }
}

async function makeFolder(parent: string): Promise<string> {
  try {
    return await realpath(await mkdtemp(join(parent, `${PREFIX}${hostTag()}-`)));
  } catch (cause) {
    throw new SpiffeError('SOCKET_UNUSABLE', `cannot make a folder for sockets in ${quoteText(parent)}`, { cause });
  }
}
