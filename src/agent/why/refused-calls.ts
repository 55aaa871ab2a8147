import type { UnixPeer } from '../../rpc/peer.ts';
import { RecentMap } from '../../spiffe/recent-map.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';

/** A call that was answered "no identity issued", or that none can be had for the time being. */
export interface RefusedCall {
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly at: Date;
  /** What it asked for; undefined where it would have taken any. */
  readonly wanted: SpiffeId | undefined;
}

const MAX_PROCESSES = 1_000;

/** The last such call of each process; of too many, the one that called longest ago is forgotten. */
export class RefusedCalls {
  readonly #calls = new RecentMap<string, RefusedCall>(MAX_PROCESSES);

  record(peer: UnixPeer, call: RefusedCall): void {
    this.#calls.set(keyOf(peer), call);
  }

  find(peer: UnixPeer): RefusedCall | undefined {
    return this.#calls.get(keyOf(peer));
  }
}

/** The number of a process comes again, with another start time. */
function keyOf({ pid, startTimeTicks }: UnixPeer): string {
  return `${pid} ${startTimeTicks}`;
}
