import type {
  JWTBundlesResponse,
  JWTSVIDRequest,
  JWTSVIDResponse,
  ValidateJWTSVIDRequest,
  ValidateJWTSVIDResponse,
} from '../../gen/workload/workload.ts';
import type { CallContext } from '../../rpc/call.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { formatBundleDocument } from '../../spiffe/bundle-document.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { validateJwtSvid } from '../../spiffe/jwt-svid.ts';
import { parseSpiffeId, trustDomainOf } from '../../spiffe/spiffe-id.ts';
import { requireAudience } from './require-audience.ts';
import type { WorkloadDeps } from './workload-deps.ts';
import { bundlesOf, noIdentity, viewOf, viewsOf } from './workload-views.ts';
import { byTrustDomainId, isSameList } from './x509.ts';

/** `FetchJWTSVID`. Source: SPIFFE Workload API §6.2.1. */
export const fetchJwtSvid =
  (deps: WorkloadDeps) =>
  async ({ audience, spiffeId }: JWTSVIDRequest, context: CallContext): Promise<JWTSVIDResponse> => {
    requireAudience(audience);
    const wanted = spiffeId === '' ? undefined : parseSpiffeId(spiffeId);
    const { entries } = await viewOf(context, deps);
    const chosen = entries.filter((entry) => wanted === undefined || entry.spiffeId === wanted);
    if (chosen.length === 0) throw noIdentity(wanted);
    const svids = chosen.map(async (entry) => ({
      spiffeId: entry.spiffeId,
      svid: (await deps.fetchJwtSvid(entry, audience)).token,
      hint: entry.hint,
    }));
    const signed = await Promise.all(svids);
    deps.requireSame(context.peer); // the server may have taken its time
    return { svids: signed };
  };

/** `FetchJWTBundles`. Source: SPIFFE Workload API §6.2.2. */
export const fetchJwtBundles = (deps: WorkloadDeps) =>
  async function* (_request: unknown, context: CallContext): AsyncGenerator<JWTBundlesResponse> {
    let last: readonly Bundle[] = [];
    for await (const view of viewsOf(context, deps)) {
      const bundles = bundlesOf(view, deps);
      if (isSameList(bundles, last)) continue;
      last = bundles;
      deps.onJwtBundles();
      yield { bundles: byTrustDomainId(bundles, toJwkSet) };
    }
  };

/** `ValidateJWTSVID`. Source: SPIFFE Workload API §6.2.3; inventory B019. */
export const validateJwtSvidCall =
  (deps: WorkloadDeps) =>
  async ({ audience, svid: token }: ValidateJWTSVIDRequest, context: CallContext): Promise<ValidateJWTSVIDResponse> => {
    if (audience === '') throw new SpiffeError('ARGUMENT_INVALID', 'audience must be specified');
    if (token === '') throw new SpiffeError('ARGUMENT_INVALID', 'svid must be specified');
    const bundles = bundlesOf(await viewOf(context, deps), deps);
    const byTrustDomain = new Map(bundles.map((bundle) => [bundle.trustDomain, bundle]));
    const { spiffeId, claims } = validateJwtSvid(token, audience, (name) => byTrustDomain.get(name), deps.clock());
    const isForeign = trustDomainOf(spiffeId) !== deps.trustDomain;
    return { spiffeId, claims: isForeign ? allowedClaims(claims, deps.allowedForeignJwtClaims) : { ...claims } };
  };

/** What the standard says a JWT-SVID has. */
const STANDARD_CLAIMS = ['sub', 'aud', 'exp'];

function allowedClaims(
  claims: Readonly<Record<string, unknown>>,
  allowed: readonly string[],
): Readonly<Record<string, unknown>> {
  const names = new Set([...STANDARD_CLAIMS, ...allowed]);
  return Object.fromEntries(Object.entries(claims).filter(([name]) => names.has(name)));
}

/** A JWK Set of the JWT authorities. @see JWT-SVID §6.1 */
export function toJwkSet(bundle: Bundle): Uint8Array {
  const document = { ...bundle, x509Authorities: [], refreshHintSeconds: 0, sequenceNumber: 0n };
  return Buffer.from(formatBundleDocument(document));
}
