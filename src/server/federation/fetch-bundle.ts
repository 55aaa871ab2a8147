import { type ClientRequest, request } from 'node:http';
import type { SecureContext, TLSSocket } from 'node:tls';
import { DOCUMENT_REQUEST, readDocument } from '../../http/read-document.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { parseBundleDocument } from '../../spiffe/bundle-document.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { trustDomainOf } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { connectToEndpoint, type EndpointTrust } from './endpoint-connection.ts';
import { type FederationRelationship, requireBundleEndpointUrl } from './relationship.ts';

export interface FetchBundleOptions {
  /** The bundle of a trust domain, our own too. */
  readonly findBundle: (trustDomain: TrustDomain) => Bundle | undefined;
  /** Whom `https_web` trusts. */
  readonly webRoots: () => SecureContext;
  readonly requirePqKem: boolean;
  /** For all of it: whoever is slow costs no more than this. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/**
 * Fetches the bundle of another trust domain from its endpoint.
 *
 * @throws SpiffeError that says what was wrong with the endpoint or its answer
 * @see SPIFFE Federation §5.2
 */
export async function fetchBundle(relationship: FederationRelationship, options: FetchBundleOptions): Promise<Bundle> {
  const url = requireBundleEndpointUrl(relationship.bundleEndpointUrl);
  const trust = trustFor(relationship, options);
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.deadlineMs)]);
  const socket = await connectToEndpoint(url, trust, signal);
  try {
    const start = () => requestOn(socket, url, signal);
    const options = { name: 'the bundle endpoint', setting: 'bundle_endpoint_url', signal };
    return parseBundleDocument(await readDocument(start, options), relationship.trustDomain);
  } finally {
    socket.destroy();
  }
}

/** On a connection that is verified. */
function requestOn(socket: TLSSocket, url: URL, signal: AbortSignal): ClientRequest {
  return request({
    ...DOCUMENT_REQUEST,
    createConnection: () => socket,
    host: url.hostname,
    port: url.port === '' ? 443 : Number(url.port),
    defaultPort: 443,
    path: `${url.pathname}${url.search}`,
    signal,
  });
}

function trustFor({ profile }: FederationRelationship, options: FetchBundleOptions): EndpointTrust {
  if (profile.type === 'https_web') return { type: 'https_web', roots: options.webRoots() };
  const { endpointSpiffeId } = profile;
  const trustDomain = trustDomainOf(endpointSpiffeId);
  const bundle = options.findBundle(trustDomain);
  if (bundle === undefined) {
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `the bundle endpoint cannot be authenticated as "${endpointSpiffeId}": there is no bundle of "${trustDomain}" yet, set it with "assayer server bundle set"`,
    );
  }
  return { type: 'https_spiffe', endpointSpiffeId, bundle, requirePqKem: options.requirePqKem };
}
