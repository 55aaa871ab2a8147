import type { UnixPeer } from '../../rpc/peer.ts';
import type { Selector } from '../../spiffe/selector.ts';

/**
 * What each attestor last said of a process that has been the same ever since it connected. While an attestor cannot
 * say anything, as when a daemon that it asks is restarted, that still holds.
 */
export class KnownSelectors {
  /** By connection, and with it, by attestor. */
  readonly #known = new WeakMap<UnixPeer, Map<string, readonly Selector[]>>();

  remember(peer: UnixPeer, attestor: string, selectors: readonly Selector[]): void {
    const known = this.#known.get(peer);
    if (known === undefined) this.#known.set(peer, new Map([[attestor, selectors]]));
    else known.set(attestor, selectors);
  }

  find(peer: UnixPeer, attestor: string): readonly Selector[] | undefined {
    return this.#known.get(peer)?.get(attestor);
  }
}
