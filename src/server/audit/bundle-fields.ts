import type { Bundle, FederationRelationship, JWTKey, X509Certificate } from '../../gen/spire/api/types/types.ts';
import type { LogFields } from '../../log/logger.ts';
import { hash } from './hash.ts';

export function jwtAuthorityFields(keys: readonly JWTKey[]): LogFields {
  return Object.fromEntries(
    keys.flatMap(({ expiresAt, keyId, publicKey }, index) => [
      [`jwt_authority_expires_at.${index}`, expiresAt],
      [`jwt_authority_key_id.${index}`, keyId],
      [`jwt_authority_public_key_sha256.${index}`, hash(publicKey)],
    ]),
  );
}

export function x509AuthorityFields(certificates: readonly X509Certificate[]): LogFields {
  return Object.fromEntries(
    certificates.map(({ asn1 }, index) => [`x509_authorities_asn1_sha256.${index}`, hash(asn1)]),
  );
}

export function bundleFields(bundle: Bundle): LogFields {
  return {
    trust_domain_id: bundle.trustDomain,
    refresh_hint: bundle.refreshHint,
    sequence_number: bundle.sequenceNumber,
    ...jwtAuthorityFields(bundle.jwtAuthorities),
    ...x509AuthorityFields(bundle.x509Authorities),
  };
}

export function relationshipFields(relationship: FederationRelationship): LogFields {
  const { trustDomain, bundleEndpointUrl, bundleEndpointProfile: profile, trustDomainBundle } = relationship;
  const bundle = trustDomainBundle === undefined ? {} : bundleFields(trustDomainBundle);
  return {
    trust_domain_id: trustDomain,
    bundle_endpoint_url: bundleEndpointUrl,
    bundle_endpoint_profile: profile && (profile.$case === 'httpsWeb' ? 'https_web' : 'https_spiffe'),
    endpoint_spiffe_id: profile?.$case === 'httpsSpiffe' ? profile.value.endpointSpiffeId : undefined,
    ...Object.fromEntries(Object.entries(bundle).map(([key, value]) => [`bundle_${key}`, value])),
  };
}
