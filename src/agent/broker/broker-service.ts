import {
  APIDefinition,
  type FetchJWTSVIDRequest,
  type FetchJWTSVIDResponse,
  type SubscribeToJWTBundlesResponse,
  type SubscribeToX509BundlesResponse,
  type SubscribeToX509SVIDResponse,
  type WorkloadReference,
} from '../../gen/spiffe/broker/broker.ts';
import type { Logger } from '../../log/logger.ts';
import type { WorkloadAttestor } from '../../plugin-host/kinds/workload-attestor.ts';
import type { CallContext } from '../../rpc/call.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { DelegationDeps } from '../delegation/delegation-deps.ts';
import { isHandedOn } from '../delegation/handed-on.ts';
import type { HeldProcess } from '../delegation/held-process.ts';
import { whileAllowed } from '../delegation/while-allowed.ts';
import { toJwkSet } from '../workload-api/jwt.ts';
import { requireAudience } from '../workload-api/require-audience.ts';
import { noIdentity } from '../workload-api/workload-views.ts';
import { byTrustDomainId, toX509SvidResponse, x509BundlesOf } from '../workload-api/x509.ts';
import { attestReference } from './attest-reference.ts';
import { type BrokerPolicyOptions, requireBroker } from './broker-policy.ts';

/** What the calls of the Broker API are made of. */
export interface BrokerDeps extends Pick<DelegationDeps, 'cache' | 'fetchJwtSvid'> {
  readonly attestors: readonly WorkloadAttestor[];
  readonly policy: BrokerPolicyOptions;
  readonly reattestSeconds: number;
  readonly log: Logger;
}

interface Request {
  readonly reference: WorkloadReference | undefined;
}

/**
 * Gives brokers the identities of the workloads that they refer to, but for those of administrators and downstream servers.
 * Inventory R086 to R089.
 */
export function brokerService(deps: BrokerDeps): BoundService {
  return bindService(APIDefinition, {
    subscribeToX509SVID: (request, context) => x509Svids(request, context, deps),
    subscribeToX509Bundles: (request, context) => x509Bundles(request, context, deps),
    fetchJWTSVID: (request, context) => fetchJwtSvid(request, context, deps),
    subscribeToJWTBundles: (request, context) => jwtBundles(request, context, deps),
  });
}

/** The workload of a request; `check` looks after its broker, too. */
async function findWorkload({ reference }: Request, context: CallContext, deps: BrokerDeps): Promise<HeldProcess> {
  const { peer, signal, method } = context;
  const { attestors, policy, reattestSeconds, log } = deps;
  const broker = requireBroker(peer, policy);
  const given = reference?.reference;
  if (given === undefined || given.typeUrl === '') {
    throw new SpiffeError('ARGUMENT_INVALID', 'a reference to the workload must be provided');
  }
  broker.requireAllowed(given.typeUrl);
  const workload = await attestReference(given, { attestors, callerId: broker.spiffeId, signal, reattestSeconds });
  log.info('a broker asks for a workload', {
    broker: broker.spiffeId,
    method: method.slice(method.lastIndexOf('/') + 1),
    reference_type: given.typeUrl,
  });
  const check = () => {
    broker.check();
    workload.check();
  };
  return { selectors: workload.selectors, check, [Symbol.dispose]: () => workload[Symbol.dispose]() };
}

async function* x509Svids(
  request: Request,
  context: CallContext,
  deps: BrokerDeps,
): AsyncGenerator<SubscribeToX509SVIDResponse> {
  const { cache } = deps;
  using workload = await findWorkload(request, context, deps);
  const { check, selectors } = workload;
  const views = (signal: AbortSignal) => cache.watch(selectors, signal, isHandedOn);
  for await (const view of whileAllowed(views, { cache, signal: context.signal, check })) {
    if (view.hindrance !== undefined) throw view.hindrance;
    if (view.entries.length === 0 || view.identities.length > 0) yield toX509SvidResponse(view);
  }
}

async function fetchJwtSvid(
  request: FetchJWTSVIDRequest,
  context: CallContext,
  deps: BrokerDeps,
): Promise<FetchJWTSVIDResponse> {
  requireBroker(context.peer, deps.policy);
  requireAudience(request.audience);
  const wanted = request.spiffeId === '' ? undefined : parseSpiffeId(request.spiffeId);
  using workload = await findWorkload(request, context, deps);
  for await (const { entries } of deps.cache.watch(workload.selectors, context.signal, isHandedOn)) {
    const chosen = entries.filter(({ spiffeId }) => wanted === undefined || spiffeId === wanted);
    if (chosen.length === 0) break;
    const svids = chosen.map(async (entry) => {
      const { token } = await deps.fetchJwtSvid(entry, request.audience);
      return { spiffeId: entry.spiffeId, svid: token, hint: entry.hint };
    });
    const response = { svids: await Promise.all(svids) };
    workload.check();
    return response;
  }
  throw noIdentity();
}

async function* x509Bundles(
  request: Request,
  context: CallContext,
  deps: BrokerDeps,
): AsyncGenerator<SubscribeToX509BundlesResponse> {
  for await (const bundles of bundlesFor(request, context, deps)) {
    yield { crl: [], bundles: x509BundlesOf(bundles) };
  }
}

async function* jwtBundles(
  request: Request,
  context: CallContext,
  deps: BrokerDeps,
): AsyncGenerator<SubscribeToJWTBundlesResponse> {
  for await (const bundles of bundlesFor(request, context, deps)) {
    yield { bundles: byTrustDomainId(bundles, toJwkSet) };
  }
}

/** Every bundle that the agent has, as in SPIRE; for whoever names a workload that is there. */
async function* bundlesFor(
  request: Request,
  context: CallContext,
  deps: BrokerDeps,
): AsyncGenerator<readonly Bundle[]> {
  const { cache } = deps;
  using workload = await findWorkload(request, context, deps);
  const { check } = workload;
  yield* whileAllowed((signal) => cache.watchBundles(signal), { cache, signal: context.signal, check });
}
