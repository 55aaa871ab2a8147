import { type X509BundlesResponse, X509SVIDResponse } from '../../gen/workload/workload.ts';
import type { CallContext } from '../../rpc/call.ts';
import { Encoded } from '../../rpc/encoded.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import type { WorkloadView } from '../workloads/workload-cache.ts';
import type { WorkloadDeps } from './workload-deps.ts';
import { bundlesOf, noIdentity, viewsOf } from './workload-views.ts';

/** `FetchX509SVID`. Source: SPIFFE Workload API §5.2.1; errors, Workload Endpoint §6. */
export const fetchX509Svid = (deps: WorkloadDeps) =>
  async function* (_request: unknown, context: CallContext): AsyncGenerator<Encoded<X509SVIDResponse>> {
    for await (const view of viewsOf(context, deps)) {
      if (view.entries.length === 0) throw noIdentity();
      if (view.hindrance !== undefined) throw view.hindrance;
      if (view.identities.length > 0) yield encodedAnswer(view);
    }
  };

/** Workloads that get the same share one view: it is encoded once for all of them, and for those that ask later. */
const encoded = new WeakMap<WorkloadView, Encoded<X509SVIDResponse>>();

function encodedAnswer(view: WorkloadView): Encoded<X509SVIDResponse> {
  const known = encoded.get(view);
  if (known !== undefined) return known;
  const bytes = X509SVIDResponse.encode(X509SVIDResponse.fromPartial(toX509SvidResponse(view))).finish();
  const answer = new Encoded<X509SVIDResponse>(bytes);
  encoded.set(view, answer);
  return answer;
}

/** `FetchX509Bundles`. Source: SPIFFE Workload API §5.2.2. */
export const fetchX509Bundles = (deps: WorkloadDeps) =>
  async function* (_request: unknown, context: CallContext): AsyncGenerator<X509BundlesResponse> {
    let last: readonly Bundle[] = [];
    for await (const view of viewsOf(context, deps)) {
      const bundles = bundlesOf(view, deps);
      if (isSameList(bundles, last)) continue;
      last = bundles;
      yield { crl: [], bundles: x509BundlesOf(bundles) };
    }
  };

/** The Broker API's answer has the same fields. */
export function toX509SvidResponse({ identities, bundle, federatedBundles }: WorkloadView): X509SVIDResponse {
  const ownAuthorities = authoritiesOf(bundle);
  return {
    svids: identities.map(({ entry, svid }) => ({
      spiffeId: svid.spiffeId,
      x509Svid: Buffer.concat(svid.chain),
      x509SvidKey: svid.privateKey,
      bundle: ownAuthorities,
      hint: entry.hint,
    })),
    crl: [],
    federatedBundles: x509BundlesOf(federatedBundles),
  };
}

/** Without those that have authorities for JWTs alone: clients refuse all bundles where one has no certificate. */
export function x509BundlesOf(bundles: readonly Bundle[]): Record<string, Uint8Array> {
  return byTrustDomainId(
    bundles.filter(({ x509Authorities }) => x509Authorities.length > 0),
    authoritiesOf,
  );
}

/** DER certificates in a row. */
export function authoritiesOf({ x509Authorities }: Bundle): Uint8Array {
  return Buffer.concat(x509Authorities.map(({ certificate }) => certificate));
}

/** Keyed by the trust domain's SPIFFE ID, `spiffe://example.org`. */
export function byTrustDomainId(
  bundles: readonly Bundle[],
  encode: (bundle: Bundle) => Uint8Array,
): Record<string, Uint8Array> {
  return Object.fromEntries(bundles.map((bundle) => [`spiffe://${bundle.trustDomain}`, encode(bundle)]));
}

/** Bundles that did not change are the same objects. */
export function isSameList(a: readonly Bundle[], b: readonly Bundle[]): boolean {
  return a.length === b.length && a.every((bundle, index) => bundle === b[index]);
}
