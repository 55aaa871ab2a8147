import type { Logger } from '../../log/logger.ts';
import type { WorkloadAttestor } from '../../plugin-host/kinds/workload-attestor.ts';
import type { Peer } from '../../rpc/peer.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';

export interface AttestWorkloadOptions {
  readonly attestors: readonly WorkloadAttestor[];
  /** What may be logged of selectors: their beginnings, such as `unix` or `k8s:ns`. */
  readonly logSelectors: readonly string[];
  readonly log: Logger;
}

/**
 * Finds out what the process at the other end of a socket is: all that any attestor knows of it. One that fails is
 * left out.
 *
 * @throws SpiffeError `UNAUTHENTICATED` where the process has ended, whose number may be another's then, or is not what
 *   it was when it connected; `WORKLOAD_UNREADABLE` where every attestor failed.
 */
export async function attestWorkload(
  peer: Peer,
  signal: AbortSignal,
  { attestors, logSelectors, log }: AttestWorkloadOptions,
): Promise<readonly Selector[]> {
  if (peer.kind !== 'unix') throw new SpiffeError('UNAUTHENTICATED', 'workloads call over the Unix socket');
  const { pid } = peer;
  requireSame(peer);
  const results = await Promise.allSettled(attestors.map((attestor) => attestor.attest(pid, signal)));
  requireSame(peer);
  const selectors = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  const failures = results.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : []));
  for (const failure of failures) {
    if (signal.aborted) break;
    log.error('a workload attestor failed', {
      pid,
      reason: failure instanceof Error ? failure.message : String(failure),
    });
  }
  if (failures.length > 0 && failures.length === attestors.length) {
    throw new SpiffeError('WORKLOAD_UNREADABLE', `no attestor could tell what process ${pid} is`, {
      cause: new AggregateError(failures),
    });
  }
  const shown = selectors.map(formatSelector).filter((text) => logSelectors.some((start) => isBelow(text, start)));
  log.debug('workload attested', { pid, count: selectors.length, selectors: shown.join(' ') || undefined });
  return selectors;
}

function isBelow(selector: string, start: string): boolean {
  return selector === start || selector.startsWith(`${start}:`);
}

function requireSame(peer: Peer & { kind: 'unix' }): void {
  if (peer.isUnchanged()) return;
  const fault = peer.isAlive() ? 'has become another program or user since it connected: connect anew' : 'has ended';
  throw new SpiffeError('UNAUTHENTICATED', `the caller, process ${peer.pid}, ${fault}`);
}
