import type { CallContext } from '../../rpc/call.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { WorkloadView } from '../workloads/workload-cache.ts';
import type { WorkloadDeps } from './workload-deps.ts';

/** @see Workload Endpoint §6: the code for whoever has no identity. */
export function noIdentity(): SpiffeError {
  return new SpiffeError('NO_IDENTITY', 'no identity issued');
}

/** What the caller gets, from now on; bundles alone, and only ours, for a caller without an identity. */
export async function* viewsOf(
  { peer, signal }: CallContext,
  { attest, watch }: WorkloadDeps,
): AsyncGenerator<WorkloadView> {
  yield* watch(await attest(peer, signal), signal);
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
