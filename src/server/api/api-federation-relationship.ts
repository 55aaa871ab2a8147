import type { EndpointProfile, FederationRelationship } from '../../datastore/federation-relationship-repository.ts';
import {
  type FederationRelationship as ApiFederationRelationship,
  type FederationRelationshipMask,
  HTTPSWebProfile,
} from '../../gen/spire/api/types/types.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import { requireBundleEndpointUrl } from '../federation/relationship.ts';
import { fromApiBundle, toApiBundle } from './api-bundle.ts';
import { explained, fromApiTrustDomain } from './foreign-trust-domain.ts';

/** A relationship as a caller gives it. */
export interface GivenRelationship extends FederationRelationship {
  /** What the trust domain is trusted by until its endpoint was asked; undefined: what is stored, if anything. */
  readonly bundle: Bundle | undefined;
}

/** A relationship as the API shows it; without a mask, all of it. The trust domain is always there. */
export function toApiRelationship(
  { trustDomain, bundleEndpointUrl, profile }: FederationRelationship,
  bundle: Bundle | undefined,
  mask: FederationRelationshipMask | undefined,
): ApiFederationRelationship {
  const has = (field: keyof FederationRelationshipMask) => mask === undefined || mask[field];
  return {
    trustDomain,
    bundleEndpointUrl: has('bundleEndpointUrl') ? bundleEndpointUrl : '',
    bundleEndpointProfile: has('bundleEndpointProfile') ? toApiProfile(profile) : undefined,
    trustDomainBundle: has('trustDomainBundle') && bundle !== undefined ? toApiBundle(bundle, undefined) : undefined,
  };
}

function toApiProfile(profile: EndpointProfile): ApiFederationRelationship['bundleEndpointProfile'] {
  return profile.type === 'https_spiffe'
    ? { $case: 'httpsSpiffe', value: { endpointSpiffeId: profile.endpointSpiffeId } }
    : { $case: 'httpsWeb', value: HTTPSWebProfile.create() };
}

/** @throws SpiffeError `ARGUMENT_INVALID`, with SPIRE's words */
export function fromApiRelationship(given: ApiFederationRelationship): GivenRelationship {
  return explained('failed to convert federation relationship', () => {
    const trustDomain = fromApiTrustDomain(given.trustDomain, 'failed to parse trust domain');
    requireBundleEndpointUrl(given.bundleEndpointUrl);
    return {
      trustDomain,
      bundleEndpointUrl: given.bundleEndpointUrl,
      profile: fromApiProfile(given.bundleEndpointProfile),
      bundle: fromApiRelationshipBundle(given),
    };
  });
}

function fromApiProfile(profile: ApiFederationRelationship['bundleEndpointProfile']): EndpointProfile {
  switch (profile?.$case) {
    case 'httpsWeb':
      return { type: 'https_web' };
    case 'httpsSpiffe': {
      const { endpointSpiffeId } = profile.value;
      return {
        type: 'https_spiffe',
        endpointSpiffeId: explained('failed to parse endpoint SPIFFE ID', () => parseSpiffeId(endpointSpiffeId)),
      };
    }
    default:
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        'unsupported bundle endpoint profile type: give https_web or https_spiffe',
      );
  }
}

function fromApiRelationshipBundle({ trustDomain, trustDomainBundle }: ApiFederationRelationship): Bundle | undefined {
  if (trustDomainBundle === undefined) return undefined;
  const bundle = explained('failed to parse bundle', () => fromApiBundle(trustDomainBundle));
  if (bundle.trustDomain === fromApiTrustDomain(trustDomain)) return bundle;
  throw new SpiffeError(
    'ARGUMENT_INVALID',
    `trust domain bundle ("${bundle.trustDomain}") must match the trust domain of the federation relationship ("${trustDomain}")`,
  );
}
