import { connect, type Socket } from 'node:net';
import type { Handshake } from '../rpc/handshake.ts';
import { openUnixPeer } from '../rpc/pidfd.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { requireTrustedSocket } from './attached-socket.ts';
import { explainByExit, type PluginCarrier, type PluginExit } from './plugin-carrier.ts';

/**
 * A plugin that somebody else runs, in a container of its own or under a debugger. The host neither confines nor ends it;
 * losing the connection counts as its end, and connecting again as its next start.
 */
export class AttachedPlugin implements PluginCarrier {
  readonly pid: number;
  /** Of its process, as the kernel knows it. */
  readonly userId: number;
  /** With the socket's path as it is without links: what those lead to later is another's. */
  readonly handshake: Handshake;
  readonly lastLines: readonly string[] = [];
  readonly sandbox: readonly string[] = [];
  readonly version = undefined;
  readonly #end = Promise.withResolvers<PluginExit>();
  #exit: PluginExit | undefined;

  private constructor(handshake: Handshake, pid: number, userId: number) {
    this.handshake = handshake;
    this.pid = pid;
    this.userId = userId;
  }

  /**
   * @throws SpiffeError `PLUGIN_NOT_LOADED` where nobody listens there, or somebody who may not be trusted
   */
  static async find(handshake: Handshake, deadlineMs: number): Promise<AttachedPlugin> {
    const { path, userIds } = await requireTrustedSocket(handshake.address);
    const { pid, uid } = await findPeer(path, deadlineMs);
    if (!userIds.includes(uid)) {
      throw new SpiffeError(
        'PLUGIN_NOT_LOADED',
        `process ${pid} of user ${uid} listens on ${quoteText(path)}, which is neither this program's user nor root nor the owner of the folder`,
      );
    }
    return new AttachedPlugin({ ...handshake, address: path }, pid, uid);
  }

  get exited(): Promise<PluginExit> {
    return this.#end.promise;
  }

  get exit(): PluginExit | undefined {
    return this.#exit;
  }

  /** Takes the loss of a connection for the plugin's end. */
  watch(lost: Promise<void>): void {
    void lost.then(() => this.#ended('was lost'));
  }

  async explain(error: unknown): Promise<unknown> {
    return await explainByExit(this, error);
  }

  kill(): void {
    this.#ended('was given up');
  }

  /** It goes on: it is not ours to end. */
  async end(): Promise<void> {
    this.#ended('was given up');
  }

  #ended(how: 'was lost' | 'was given up'): void {
    this.#exit ??= { connection: how };
    this.#end.resolve(this.#exit);
  }
}

async function findPeer(path: string, deadlineMs: number): Promise<{ readonly pid: number; readonly uid: number }> {
  const socket = connect(path);
  try {
    await connected(socket, path, deadlineMs);
    using peer = openUnixPeer(socket);
    return { pid: peer.pid, uid: peer.uid };
  } finally {
    socket.destroy();
  }
}

async function connected(socket: Socket, path: string, deadlineMs: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const refuse = (reason: string, cause?: unknown) =>
      reject(
        new SpiffeError('PLUGIN_NOT_LOADED', `no plugin answers at ${quoteText(path)} (${reason}): start it first`, {
          cause,
        }),
      );
    socket.setTimeout(deadlineMs, () => refuse(`no connection within ${deadlineMs / 1_000} s`));
    socket.once('connect', resolve);
    socket.once('error', (error: NodeJS.ErrnoException) => refuse(error.code ?? error.message, error));
  });
}
