import { Bundle as ApiBundle, type BundleMask } from '../../gen/spire/api/types/types.ts';
import type { Bundle } from '../../spiffe/bundle.ts';

/** A bundle as the API shows it; without a mask, all of it. The trust domain is always there. */
export function toApiBundle(bundle: Bundle, mask: BundleMask | undefined): ApiBundle {
  const has = (field: keyof BundleMask) => mask === undefined || mask[field];
  return {
    ...ApiBundle.create({ trustDomain: bundle.trustDomain }),
    ...(has('x509Authorities') && {
      x509Authorities: bundle.x509Authorities.map(({ certificate, tainted }) => ({ asn1: certificate, tainted })),
    }),
    ...(has('jwtAuthorities') && {
      jwtAuthorities: bundle.jwtAuthorities.map(({ publicKey, keyId, expiresAt, tainted }) => ({
        publicKey,
        keyId,
        expiresAt: BigInt(expiresAt),
        tainted,
      })),
    }),
    ...(has('refreshHint') && { refreshHint: BigInt(bundle.refreshHintSeconds) }),
    ...(has('sequenceNumber') && { sequenceNumber: bundle.sequenceNumber }),
  };
}
