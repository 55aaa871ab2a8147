import type { CallContext } from '../../rpc/call.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { noIdentity } from '../workload-api/workload-views.ts';
import { requireSame } from '../workloads/attest-workload.ts';
import { isSilentAttestor } from '../workloads/follow-workload.ts';
import { Reattestation } from '../workloads/reattestation.ts';
import type { DelegationDeps } from './delegation-deps.ts';

/** A caller that was found to be authorized. Disposing ends its attestation. */
export interface Delegate extends Disposable {
  readonly spiffeId: SpiffeId;
  readonly pid: number;
  /** @throws SpiffeError once it is not any more. */
  check(): void;
}

/**
 * Attests who calls, again and again: it has to be entitled to an identity that is authorized.
 *
 * @throws SpiffeError `NO_IDENTITY`, `PERMISSION_DENIED`, and what attestation throws.
 */
export async function requireDelegate({ peer, signal }: CallContext, deps: DelegationDeps): Promise<Delegate> {
  const { authorizedIds, attest, reattestSeconds: seconds, cache } = deps;
  if (peer.kind !== 'unix') throw new SpiffeError('UNAUTHENTICATED', 'delegates call over the Unix socket');
  if (authorizedIds.length === 0) {
    throw new SpiffeError(
      'PERMISSION_DENIED',
      'this agent authorizes no delegate: name the SPIFFE ID of the caller in authorized_delegates of its configuration',
    );
  }
  const attestAgain = (selectors: readonly Selector[]) =>
    new Reattestation({
      selectors,
      attest: (ending) => attest(peer, ending),
      seconds,
      isSilence: isSilentAttestor,
      call: signal,
    });
  let selectors = await attest(peer, signal);
  for await (const _ of cache.watch(selectors, signal)) break; // until there is something to judge by
  const find = () => {
    requireSame(peer);
    const ids = cache.entriesOf(selectors).map(({ spiffeId }) => spiffeId);
    return requireAuthorized(ids, authorizedIds);
  };
  const spiffeId = find();
  let again = attestAgain(selectors);
  const check = () => {
    const { next } = again;
    if (next !== undefined) {
      again[Symbol.dispose]();
      selectors = next;
      again = attestAgain(selectors);
    }
    find();
  };
  return { spiffeId, pid: peer.pid, check, [Symbol.dispose]: () => again[Symbol.dispose]() };
}

function requireAuthorized(ids: readonly SpiffeId[], authorizedIds: readonly SpiffeId[]): SpiffeId {
  const found = ids.find((id) => authorizedIds.includes(id));
  if (found !== undefined) return found;
  const [first] = ids;
  if (first === undefined) throw noIdentity();
  throw new SpiffeError(
    'PERMISSION_DENIED',
    `the caller is ${first}, which is not among the authorized_delegates of this agent`,
  );
}
