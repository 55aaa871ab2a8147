import type { Duplex } from 'node:stream';
import type { Logger } from '../../log/logger.ts';
import type { UnixPeer } from '../../rpc/peer.ts';

export interface CallerWatchOptions {
  readonly log: Logger;
  /** Between two looks at whether processes are alive. */
  readonly intervalMs?: number;
  /** In how many looks each process is compared with what it was when it connected, which takes longer. */
  readonly looksARound?: number;
}

const DEFAULT_INTERVAL_MS = 1_000;
const DEFAULT_LOOKS_A_ROUND = 10;

/**
 * Ends connections whose process has ended, or runs another program or for another user by now: somebody else holds the
 * socket then, who is to connect anew.
 */
export class CallerWatch implements Disposable {
  readonly #options: Required<CallerWatchOptions>;
  readonly #watched = new Map<Duplex, UnixPeer>();
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;

  constructor(options: CallerWatchOptions) {
    this.#options = { intervalMs: DEFAULT_INTERVAL_MS, looksARound: DEFAULT_LOOKS_A_ROUND, ...options };
  }

  /** Until the socket closes. */
  add(socket: Duplex, peer: UnixPeer): void {
    this.#watched.set(socket, peer);
    socket.once('close', () => this.#forget(socket));
    this.#timer ??= setInterval(() => this.#look(), this.#options.intervalMs).unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#watched.clear();
  }

  #look(): void {
    const { looksARound, log } = this.#options;
    this.#looks += 1;
    for (const [socket, peer] of this.#watched) {
      const fault = !peer.isAlive()
        ? 'its process has ended'
        : peer.pid % looksARound === this.#looks % looksARound && !isUnchanged(peer)
          ? 'its process has become another program or user'
          : undefined;
      if (fault === undefined) continue;
      log.info('a connection was ended', { pid: peer.pid, reason: fault });
      socket.destroy();
    }
  }

  #forget(socket: Duplex): void {
    this.#watched.delete(socket);
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function isUnchanged(peer: UnixPeer): boolean {
  try {
    return peer.isUnchanged();
  } catch {
    return false; // it ended meanwhile
  }
}
