import { Bundle as ApiBundle } from '../gen/spire/api/types/types.ts';
import type { Bundle } from '../spiffe/bundle.ts';
import { parseBundleDocument, parseBundlePem } from '../spiffe/bundle-document.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';

export type BundleFormat = 'pem' | 'spiffe';

/** A bundle of the API, from PEM certificates or a SPIFFE bundle document. @throws SpiffeError `BUNDLE_INVALID` */
export function parseApiBundle(text: string, format: BundleFormat, trustDomain: string): ApiBundle {
  const name = parseTrustDomain(trustDomain);
  const bundle: Bundle = format === 'pem' ? parseBundlePem(text, name) : parseBundleDocument(text, name);
  return {
    ...ApiBundle.create({ trustDomain: name }),
    x509Authorities: bundle.x509Authorities.map(({ certificate, tainted }) => ({ asn1: certificate, tainted })),
    jwtAuthorities: bundle.jwtAuthorities.map(({ keyId, publicKey, expiresAt, tainted }) => ({
      keyId,
      publicKey,
      expiresAt: BigInt(expiresAt),
      tainted,
    })),
    refreshHint: BigInt(bundle.refreshHintSeconds),
    sequenceNumber: bundle.sequenceNumber,
  };
}
