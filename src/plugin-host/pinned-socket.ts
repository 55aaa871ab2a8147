import { type FileHandle, readlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { openPath } from '../files/open-path.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';

/**
 * One very socket, whatever its plugin puts under the name later: a link there would lead the host, with the host's rights,
 * to wherever it points.
 */
export class PinnedSocket implements AsyncDisposable {
  /** Leads to the socket for as long as this is not disposed. */
  readonly path: string;
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
    this.path = `/proc/${process.pid}/fd/${handle.fd}`;
  }

  /**
   * @param place the folder that it has to be in, and the user that has to own it.
   * @throws SpiffeError `PLUGIN_PROTOCOL` where `path` is not such a socket.
   */
  static async open(path: string, place: { readonly folder: string; readonly userId: number }): Promise<PinnedSocket> {
    await using undo = new AsyncDisposableStack();
    const pinned = undo.use(new PinnedSocket(await openWhatIs(path)));
    // Where it is, not where its name leads to: a folder on the way may be a link as well.
    if (dirname(await readlink(pinned.path)) !== place.folder) {
      throw refusal(path, ', outside the folder that PLUGIN_UNIX_SOCKET_DIR and TMPDIR give it');
    }
    const found = await pinned.#handle.stat();
    if (!found.isSocket()) throw refusal(path, ', which is not a socket');
    if (found.uid !== place.userId) throw refusal(path, `, which belongs to user ${found.uid}, not ${place.userId}`);
    undo.move();
    return pinned;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

async function openWhatIs(path: string): Promise<FileHandle> {
  try {
    return await openPath(path);
  } catch (cause) {
    throw refusal(path, ', which is not there', cause);
  }
}

function refusal(path: string, what: string, cause?: unknown): SpiffeError {
  return new SpiffeError('PLUGIN_PROTOCOL', `its handshake names the socket ${quoteText(path)}${what}`, { cause });
}
