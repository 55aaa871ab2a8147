import type { Bundle as ApiBundle } from '../gen/spire/api/types/types.ts';
import { formatBundleDocument, formatBundlePem } from '../spiffe/bundle-document.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';

/** A bundle of the API as PEM certificates or as a SPIFFE bundle document. */
export function formatApiBundle(bundle: ApiBundle, format: 'pem' | 'spiffe'): string {
  const own = {
    trustDomain: parseTrustDomain(bundle.trustDomain),
    x509Authorities: bundle.x509Authorities.map(({ asn1, tainted }) => ({ certificate: asn1, tainted })),
    jwtAuthorities: bundle.jwtAuthorities.map(({ publicKey, keyId, expiresAt, tainted }) => ({
      publicKey,
      keyId,
      expiresAt: Number(expiresAt),
      tainted,
    })),
    refreshHintSeconds: Number(bundle.refreshHint),
    sequenceNumber: bundle.sequenceNumber,
  };
  return format === 'pem' ? formatBundlePem(own) : formatBundleDocument(own);
}
