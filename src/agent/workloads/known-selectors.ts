import type { UnixPeer } from '../../rpc/peer.ts';
import type { Selector } from '../../spiffe/selector.ts';

/** What was said of a process longer ago is not known any more. */
export const MAX_KNOWN_MS = 3_600_000;

/**
 * What each attestor last said of a process that has been the same ever since it connected. While an attestor cannot
 * say anything, as when a daemon that it asks is restarted, that still holds: for {@link MAX_KNOWN_MS}.
 */
export class KnownSelectors {
  /** By connection, and with it, by attestor. */
  readonly #known = new WeakMap<UnixPeer, Map<string, Known>>();

  remember(peer: UnixPeer, attestor: string, selectors: readonly Selector[]): void {
    const saying = { selectors, saidAt: performance.now() };
    const known = this.#known.get(peer);
    if (known === undefined) this.#known.set(peer, new Map([[attestor, saying]]));
    else known.set(attestor, saying);
  }

  find(peer: UnixPeer, attestor: string): readonly Selector[] | undefined {
    const known = this.#known.get(peer)?.get(attestor);
    return known === undefined || performance.now() - known.saidAt > MAX_KNOWN_MS ? undefined : known.selectors;
  }
}

interface Known {
  readonly selectors: readonly Selector[];
  readonly saidAt: number;
}
