import type { Duplex } from 'node:stream';
import type { Logger } from '../../log/logger.ts';
import type { Peer, UnixPeer } from '../../rpc/peer.ts';
import { messageOf } from '../../spiffe/error.ts';
import { requireSame } from '../workloads/attest-workload.ts';

export interface CallerWatchOptions {
  readonly log: Logger;
  /** Between two looks at whether processes are alive. */
  readonly intervalMs?: number;
  /** In how many looks each process is compared with what it was when it connected, which takes longer. */
  readonly looksARound?: number;
}

const DEFAULT_INTERVAL_MS = 1_000;
const DEFAULT_LOOKS_A_ROUND = 10;
/** For the refusals of its calls to go out, which say why. */
const LAST_ANSWER_MS = 250;

/**
 * Ends connections whose process has ended, or runs another program or for another user by now: somebody else holds the
 * socket then, who is to connect anew. The calls are told why first.
 */
export class CallerWatch implements Disposable {
  readonly #options: Required<CallerWatchOptions>;
  readonly #watched = new Map<Duplex, UnixPeer>();
  readonly #gone = new WeakMap<Peer, AbortController>();
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;

  constructor(options: CallerWatchOptions) {
    this.#options = { intervalMs: DEFAULT_INTERVAL_MS, looksARound: DEFAULT_LOOKS_A_ROUND, ...options };
  }

  /** Until the socket closes. */
  add(socket: Duplex, peer: UnixPeer): void {
    this.#watched.set(socket, peer);
    this.#gone.set(peer, new AbortController());
    socket.once('close', () => this.#forget(socket));
    this.#timer ??= setInterval(() => this.#look(), this.#options.intervalMs).unref();
  }

  /** Aborted once this is no longer who connected, with the error that its calls are refused with. */
  goneSignal(peer: Peer): AbortSignal | undefined {
    return this.#gone.get(peer)?.signal;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#watched.clear();
  }

  #look(): void {
    const { looksARound } = this.#options;
    this.#looks += 1;
    for (const [socket, peer] of this.#watched) {
      if (peer.isAlive() && peer.pid % looksARound !== this.#looks % looksARound) continue;
      try {
        requireSame(peer);
      } catch (error) {
        this.#end(socket, peer, error);
      }
    }
  }

  #end(socket: Duplex, peer: UnixPeer, error: unknown): void {
    this.#options.log.info('a connection was ended', { pid: peer.pid, reason: messageOf(error) });
    this.#forget(socket);
    this.#gone.get(peer)?.abort(error);
    setTimeout(() => socket.destroy(), LAST_ANSWER_MS).unref();
  }

  #forget(socket: Duplex): void {
    this.#watched.delete(socket);
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
