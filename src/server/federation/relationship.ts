import type { FederatesWithConfig } from '../../config/federation-config.ts';
import type { FederationRelationship } from '../../datastore/federation-relationship-repository.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

export type { EndpointProfile, FederationRelationship } from '../../datastore/federation-relationship-repository.ts';

const MAX_URL_CHARACTERS = 2048;

/** @throws SpiffeError `ARGUMENT_INVALID` for a URL that no bundle may be fetched from */
export function requireBundleEndpointUrl(text: string): URL {
  if (text.length > MAX_URL_CHARACTERS) {
    throw refused(`has ${text.length} characters: ${MAX_URL_CHARACTERS} at most`);
  }
  if (!URL.canParse(text)) throw refused(`${quoteText(text)} is no URL: give one such as https://example.org:8443`);
  const url = new URL(text);
  if (url.protocol !== 'https:') throw refused('must use the https scheme');
  if (url.hostname === '') throw refused('must specify the host');
  if (url.username !== '' || url.password !== '') throw refused('must not contain user info');
  return url;
}

function refused(reason: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', `bundle endpoint URL ${reason}`);
}

/** All that is federated with, those of the configuration before those that were made at run time, as in SPIRE. */
export function mergeRelationships(
  configured: readonly FederatesWithConfig[],
  stored: readonly FederationRelationship[],
): ReadonlyMap<TrustDomain, FederationRelationship> {
  return new Map([...stored, ...configured].map((relationship) => [relationship.trustDomain, relationship]));
}

export function sameRelationship(a: FederationRelationship, b: FederationRelationship): boolean {
  return a.bundleEndpointUrl === b.bundleEndpointUrl && endpointIdOf(a) === endpointIdOf(b);
}

/** Undefined for `https_web`. */
export function endpointIdOf({ profile }: FederationRelationship) {
  return profile.type === 'https_spiffe' ? profile.endpointSpiffeId : undefined;
}
