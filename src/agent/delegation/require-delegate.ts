import type { CallContext } from '../../rpc/call.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { noIdentity } from '../workload-api/workload-views.ts';
import { requireSame } from '../workloads/attest-workload.ts';
import type { DelegationDeps } from './delegation-deps.ts';

/** A caller that was found to be authorized. */
export interface Delegate {
  readonly spiffeId: SpiffeId;
  readonly pid: number;
  /** @throws SpiffeError once it is not any more. */
  check(): void;
}

/**
 * Attests who calls: it has to be entitled to an identity that is authorized.
 *
 * @throws SpiffeError `NO_IDENTITY`, `PERMISSION_DENIED`, and what attestation throws.
 */
export async function requireDelegate({ peer, signal }: CallContext, deps: DelegationDeps): Promise<Delegate> {
  const { authorizedIds, attest, cache } = deps;
  if (peer.kind !== 'unix') throw new SpiffeError('UNAUTHENTICATED', 'delegates call over the Unix socket');
  if (authorizedIds.length === 0) {
    throw new SpiffeError(
      'PERMISSION_DENIED',
      'this agent authorizes no delegate: name the SPIFFE ID of the caller in authorized_delegates of its configuration',
    );
  }
  const selectors = await attest(peer, signal);
  for await (const _ of cache.watch(selectors, signal)) break; // until there is something to judge by
  const find = () => {
    requireSame(peer);
    const ids = cache.entriesOf(selectors).map(({ spiffeId }) => spiffeId);
    return requireAuthorized(ids, authorizedIds);
  };
  return { spiffeId: find(), pid: peer.pid, check: () => void find() };
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
