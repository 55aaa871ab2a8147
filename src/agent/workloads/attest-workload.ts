import type { Logger } from '../../log/logger.ts';
import type { WorkloadAttestor } from '../../plugin-host/kinds/workload-attestor.ts';
import type { Peer, UnixPeer } from '../../rpc/peer.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import type { KnownSelectors } from './known-selectors.ts';
import { withoutSecrets } from './without-secrets.ts';

export interface AttestWorkloadOptions {
  readonly attestors: readonly WorkloadAttestor[];
  /** What may be logged of selectors: their beginnings, such as `unix` or `k8s:ns`. */
  readonly logSelectors: readonly string[];
  /** What an attestor that fails has said of the process before; absent, it has said nothing. */
  readonly known?: KnownSelectors;
  /** Told what each attestor said. */
  readonly onOutcomes?: (peer: UnixPeer, outcomes: readonly AttestorOutcome[]) => void;
  readonly log: Logger;
}

/** What one attestor said of a workload. */
export interface AttestorOutcome {
  readonly name: string;
  /** None where it failed. */
  readonly selectors: readonly Selector[];
  /** What it failed with; undefined where it did not. */
  readonly error: unknown;
  readonly answeredAt: Date;
  readonly tookMs: number;
}

/** Asks every attestor what a process is. */
export async function askAttestors(
  pid: number,
  signal: AbortSignal,
  attestors: readonly WorkloadAttestor[],
): Promise<readonly AttestorOutcome[]> {
  return await Promise.all(
    attestors.map(async (attestor) => {
      const beganAt = performance.now();
      const [result] = await Promise.allSettled([attestor.attest(pid, signal)]);
      return {
        name: attestor.name,
        selectors: result.status === 'fulfilled' ? result.value : [],
        error: result.status === 'fulfilled' ? undefined : result.reason,
        answeredAt: new Date(),
        tookMs: performance.now() - beganAt,
      };
    }),
  );
}

/**
 * Finds out what the process at the other end of a socket is: all that any attestor knows of it. Of one that
 * fails, what it said before of the same connection holds.
 *
 * @throws SpiffeError `UNAUTHENTICATED` where the process has ended, whose number may be another's then, or is not what
 *   it was when it connected; `WORKLOAD_UNREADABLE` where every attestor failed.
 */
export async function attestWorkload(
  peer: Peer,
  signal: AbortSignal,
  options: AttestWorkloadOptions,
): Promise<readonly Selector[]> {
  requireWorkload(peer);
  requireSame(peer);
  return selectorsOf(peer, await askAttestors(peer.pid, signal, options.attestors), signal, options);
}

/** @throws SpiffeError `UNAUTHENTICATED` for a caller that is no process of this node */
export function requireWorkload(peer: Peer): asserts peer is UnixPeer {
  if (peer.kind !== 'unix') throw new SpiffeError('UNAUTHENTICATED', 'workloads call over the Unix socket');
}

/**
 * What the attestors have said of a process, where it still is that one: the second half of {@link attestWorkload}, which
 * throws the same.
 */
export function selectorsOf(
  peer: UnixPeer,
  outcomes: readonly AttestorOutcome[],
  signal: AbortSignal,
  { attestors, logSelectors, known, onOutcomes, log }: AttestWorkloadOptions,
): readonly Selector[] {
  const { pid } = peer;
  requireSame(peer);
  onOutcomes?.(peer, outcomes);
  const selectors = outcomes.flatMap(({ name, error, selectors: found }) => {
    if (error !== undefined) return known?.find(peer, name) ?? [];
    known?.remember(peer, name, found);
    return found;
  });
  const failures = outcomes.flatMap(({ error }) => (error === undefined ? [] : [error]));
  for (const failure of failures) {
    if (signal.aborted) break;
    log.error('a workload attestor failed', {
      pid,
      reason: messageOf(failure),
    });
  }
  if (failures.length > 0 && failures.length === attestors.length) {
    throw new SpiffeError('WORKLOAD_UNREADABLE', `no attestor could tell what process ${pid} is`, {
      cause: new AggregateError(failures),
    });
  }
  if (log.isEnabled('debug')) {
    const shown = selectors.flatMap((selector) => loggedForm(selector, logSelectors) ?? []);
    log.debug('workload attested', { pid, count: selectors.length, selectors: shown.join(' ') || undefined });
  }
  return selectors;
}

/**
 * A selector as the log may have it; undefined where it may not.
 *
 * @param logSelectors as in {@link AttestWorkloadOptions}
 */
export function loggedForm(selector: Selector, logSelectors: readonly string[]): string | undefined {
  const text = formatSelector(selector);
  const isShown = logSelectors.some((start) => text === start || text.startsWith(`${start}:`));
  return isShown ? formatSelector(withoutSecrets(selector)) : undefined;
}

/** @throws SpiffeError `UNAUTHENTICATED` where the process has ended or is not what it was when it connected. */
export function requireSame(peer: Peer): void {
  if (peer.kind !== 'unix' || peer.isUnchanged()) return;
  const fault = peer.isAlive() ? 'has become another program or user since it connected: connect anew' : 'has ended';
  throw new SpiffeError('UNAUTHENTICATED', `the caller, process ${peer.pid}, ${fault}`);
}
