import {
  DelegatedIdentityDefinition,
  type FetchJWTSVIDsRequest,
  type FetchJWTSVIDsResponse,
  type SubscribeToJWTBundlesResponse,
  type SubscribeToX509BundlesResponse,
  type SubscribeToX509SVIDsRequest,
  type SubscribeToX509SVIDsResponse,
} from '../../gen/spire/api/agent/delegatedidentity/v1/delegatedidentity.ts';
import type { CallContext } from '../../rpc/call.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import { toJwkSet } from '../workload-api/jwt.ts';
import { requireAudience } from '../workload-api/require-audience.ts';
import { noIdentity } from '../workload-api/workload-views.ts';
import { byTrustDomainId, x509BundlesOf } from '../workload-api/x509.ts';
import { findWorkload } from './delegated-workload.ts';
import type { DelegationDeps } from './delegation-deps.ts';
import { isHandedOn } from './handed-on.ts';
import { requireDelegate } from './require-delegate.ts';
import { toApiJwtSvid, toSvidsResponse } from './to-delegated-svids.ts';
import { whileAllowed } from './while-allowed.ts';

/**
 * Gives delegates the identities of others, but for those of administrators and downstream servers. A stream ends when its
 * delegate is authorized no more. Inventory R079 to R082, B018.
 */
export function delegatedIdentityService(deps: DelegationDeps): BoundService {
  return bindService(DelegatedIdentityDefinition, {
    subscribeToX509SVIDs: subscribeToX509Svids(deps),
    subscribeToX509Bundles: (_request, context) => x509Bundles(context, deps),
    fetchJWTSVIDs: fetchJwtSvids(deps),
    subscribeToJWTBundles: (_request, context) => jwtBundles(context, deps),
  });
}

const subscribeToX509Svids = (deps: DelegationDeps) =>
  async function* (
    request: SubscribeToX509SVIDsRequest,
    context: CallContext,
  ): AsyncGenerator<SubscribeToX509SVIDsResponse> {
    const { cache } = deps;
    const startedAt = performance.now();
    let isFirst = true;
    using delegate = await requireDelegate(context, deps);
    using workload = await findWorkload(request, context, delegate, deps);
    const check = () => {
      delegate.check();
      workload.check();
    };
    const views = (signal: AbortSignal) => cache.watch(workload.selectors, signal, isHandedOn);
    for await (const view of whileAllowed(views, { cache, signal: context.signal, check })) {
      if (view.hindrance !== undefined) throw view.hindrance;
      // None at all is an answer: who had some has lost them. Some without an SVID are waited for.
      if (view.entries.length > 0 && view.identities.length === 0) continue;
      if (isFirst) deps.onFirstSvids(performance.now() - startedAt);
      isFirst = false;
      yield toSvidsResponse(view);
    }
  };

const fetchJwtSvids =
  (deps: DelegationDeps) =>
  async (request: FetchJWTSVIDsRequest, context: CallContext): Promise<FetchJWTSVIDsResponse> => {
    using delegate = await requireDelegate(context, deps);
    requireAudience(request.audience);
    using workload = await findWorkload(request, context, delegate, deps);
    const entries = await currentEntries(workload.selectors, context.signal, deps);
    if (entries.length === 0) throw noIdentity();
    const svids = await Promise.all(
      entries.map(async (entry) => toApiJwtSvid(entry, await deps.fetchJwtSvid(entry, request.audience))),
    );
    delegate.check();
    workload.check();
    return { svids };
  };

async function currentEntries(
  selectors: readonly Selector[],
  signal: AbortSignal,
  { cache }: DelegationDeps,
): Promise<readonly AuthorizedEntry[]> {
  for await (const { entries } of cache.watch(selectors, signal, isHandedOn)) return entries;
  return [];
}

async function* x509Bundles(
  context: CallContext,
  deps: DelegationDeps,
): AsyncGenerator<SubscribeToX509BundlesResponse> {
  for await (const bundles of bundlesFor(context, deps)) {
    yield { caCertificates: x509BundlesOf(bundles) };
  }
}

async function* jwtBundles(context: CallContext, deps: DelegationDeps): AsyncGenerator<SubscribeToJWTBundlesResponse> {
  for await (const bundles of bundlesFor(context, deps)) yield { bundles: byTrustDomainId(bundles, toJwkSet) };
}

/** Every bundle that the agent has, as in SPIRE. */
async function* bundlesFor(context: CallContext, deps: DelegationDeps): AsyncGenerator<readonly Bundle[]> {
  const { cache } = deps;
  using delegate = await requireDelegate(context, deps);
  const { check } = delegate;
  yield* whileAllowed((signal) => cache.watchBundles(signal), { cache, signal: context.signal, check });
}
