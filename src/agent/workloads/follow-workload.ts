import type { Peer } from '../../rpc/peer.ts';
import { isSpiffeError } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import { Reattestation } from './reattestation.ts';
import type { WorkloadView } from './workload-cache.ts';

/** What following a workload takes. */
export interface FollowDeps {
  attest(peer: Peer, signal: AbortSignal): Promise<readonly Selector[]>;
  /** @throws SpiffeError `UNAUTHENTICATED` where the process has ended or is not what it was when it connected. */
  requireSame(peer: Peer): void;
  /** Aborted once `requireSame` throws, with what it throws; undefined for one that nobody watches. */
  goneSignal(peer: Peer): AbortSignal | undefined;
  watch(selectors: readonly Selector[], signal: AbortSignal): AsyncIterable<WorkloadView>;
  /** How often it is attested again; 0: never. */
  readonly reattestSeconds: number;
}

/** A workload that was attested so long ago is what it was then: its answer is on its way for longer. */
const FRESH_MS = 1;

/**
 * What a workload gets from now on: as long as it is the process that connected, and by what it is at the time. Nothing
 * is told to a process that is another by then.
 *
 * @param admit refuses what it is at first
 */
export async function* followWorkload(
  peer: Peer,
  signal: AbortSignal,
  deps: FollowDeps,
  admit: (selectors: readonly Selector[]) => void = () => {},
): AsyncGenerator<WorkloadView> {
  let selectors = await deps.attest(peer, signal);
  let checkedAt = performance.now();
  admit(selectors);
  const gone = deps.goneSignal(peer);
  while (!signal.aborted) {
    using round = new Reattestation({
      selectors,
      attest: (ending) => deps.attest(peer, ending),
      seconds: deps.reattestSeconds,
      isSilence: isSilentAttestor,
      call: signal,
      gone,
    });
    for await (const view of deps.watch(selectors, round.signal)) {
      if (performance.now() - checkedAt > FRESH_MS) deps.requireSame(peer);
      checkedAt = Number.NEGATIVE_INFINITY;
      yield view;
    }
    if (signal.aborted) return;
    gone?.throwIfAborted();
    selectors = round.next ?? selectors;
  }
}

/** Whether attestation failed because no attestor could say anything. */
export function isSilentAttestor(error: unknown): boolean {
  return isSpiffeError(error, 'WORKLOAD_UNREADABLE');
}
