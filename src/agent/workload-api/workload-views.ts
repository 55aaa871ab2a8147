import type { CallContext } from '../../rpc/call.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { followWorkload } from '../workloads/follow-workload.ts';
import type { WorkloadView } from '../workloads/workload-cache.ts';
import type { Callers, WorkloadDeps } from './workload-deps.ts';

/** @see Workload Endpoint §6: the code for whoever has no identity. */
export class NoIdentityError extends SpiffeError {
  /** What the caller asked for; undefined where it would have taken any. */
  readonly wanted: SpiffeId | undefined;

  constructor(wanted: SpiffeId | undefined) {
    super('NO_IDENTITY', 'no identity issued');
    this.wanted = wanted;
  }
}

export function noIdentity(wanted?: SpiffeId): SpiffeError {
  return new NoIdentityError(wanted);
}

/** What the caller gets, from now on; bundles alone, and only ours, for a caller without an identity. */
export function viewsOf(
  { peer, method, signal }: Pick<CallContext, 'peer' | 'method' | 'signal'>,
  deps: Callers,
): AsyncGenerator<WorkloadView> {
  return followWorkload(peer, signal, deps, (selectors) => deps.spend(method, selectors, peer));
}

/** What the caller gets at this moment. */
export async function viewOf(context: CallContext, deps: WorkloadDeps): Promise<WorkloadView> {
  for await (const view of viewsOf(context, deps)) return view;
  throw new SpiffeError('CANCELLED', 'the caller cancelled');
}

/** @throws SpiffeError `NO_IDENTITY` for a caller without one, unless such may verify others. */
export function bundlesOf(
  { entries, bundle, federatedBundles }: WorkloadView,
  { allowUnauthenticatedVerifiers }: WorkloadDeps,
): readonly Bundle[] {
  if (entries.length === 0 && !allowUnauthenticatedVerifiers) throw noIdentity();
  return [bundle, ...federatedBundles];
}
