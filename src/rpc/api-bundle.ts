import type { Bundle as ApiBundle, JWTKey } from '../gen/spire/api/types/types.ts';
import type { Bundle, JwtAuthority } from '../spiffe/bundle.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe/trust-domain.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { publicKeyOfSpki } from '../x509/spki.ts';

/**
 * A bundle that the server answered, every authority of which can be used.
 *
 * @throws SpiffeError `BUNDLE_INVALID` where it is of another trust domain, has no X.509 authority or one that is none.
 */
export function fromApiBundle(bundle: ApiBundle, expected: TrustDomain): Bundle {
  const converted = fromApiFederatedBundle(bundle, expected);
  if (converted.x509Authorities.length === 0) throw invalid(expected, 'it has no X.509 authority');
  return converted;
}

/**
 * The bundle of another trust domain, which may have authorities for JWTs alone, or none.
 *
 * @throws SpiffeError `BUNDLE_INVALID` where it is of another trust domain, or has an authority that is none.
 */
export function fromApiFederatedBundle(bundle: ApiBundle, expected: TrustDomain): Bundle {
  if (parseTrustDomain(bundle.trustDomain) !== expected) {
    throw invalid(expected, `it is of "${bundle.trustDomain}"`);
  }
  try {
    return {
      trustDomain: expected,
      x509Authorities: bundle.x509Authorities.flatMap(({ asn1, tainted }) => ({
        certificate: parseCertificate(asn1).der,
        tainted,
      })),
      jwtAuthorities: bundle.jwtAuthorities.map(fromApiJwtAuthority),
      refreshHintSeconds: Number(bundle.refreshHint),
      sequenceNumber: bundle.sequenceNumber,
    };
  } catch (cause) {
    throw invalid(expected, messageOf(cause), cause);
  }
}

/** @throws SpiffeError for a key that cannot be used */
export function fromApiJwtAuthority({ keyId, publicKey, expiresAt, tainted }: JWTKey): JwtAuthority {
  publicKeyOfSpki(publicKey);
  return { keyId, publicKey: new Uint8Array(publicKey), expiresAt: Number(expiresAt), tainted };
}

function invalid(trustDomain: TrustDomain, reason: string, cause?: unknown): SpiffeError {
  return new SpiffeError('BUNDLE_INVALID', `the server's bundle of "${trustDomain}" cannot be used: ${reason}`, {
    cause,
  });
}
