import type { JWTKey, Bundle as WireBundle, X509Certificate } from '../gen/spire/plugin/types/types.ts';
import type { Bundle, JwtAuthority, X509Authority } from '../spiffe/bundle.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';

// Bundles as they travel between a host and its plugins, `spire.plugin.types`. @see plugin-wire §7

export function toWireX509Authority({ certificate, tainted }: X509Authority): X509Certificate {
  return { asn1: certificate, tainted };
}

/** The certificate is not parsed. */
export function fromWireX509Authority({ asn1, tainted }: X509Certificate): X509Authority {
  return { certificate: new Uint8Array(asn1), tainted };
}

export function toWireJwtAuthority({ publicKey, keyId, expiresAt, tainted }: JwtAuthority): JWTKey {
  return { publicKey, keyId, expiresAt: BigInt(expiresAt), tainted };
}

/** The key is not parsed. @throws SpiffeError `BUNDLE_INVALID` */
export function fromWireJwtAuthority({ publicKey, keyId, expiresAt, tainted }: JWTKey): JwtAuthority {
  if (keyId === '') throw new SpiffeError('BUNDLE_INVALID', 'a JWT key has no key id');
  if (publicKey.length === 0) throw new SpiffeError('BUNDLE_INVALID', `JWT key ${quoteText(keyId)} is empty`);
  const seconds = toSafeNumber(expiresAt, `the expiry of JWT key ${quoteText(keyId)}`);
  return { keyId, publicKey: new Uint8Array(publicKey), expiresAt: seconds, tainted };
}

export function toWireBundle(bundle: Bundle): WireBundle {
  return {
    trustDomain: bundle.trustDomain,
    x509Authorities: bundle.x509Authorities.map(toWireX509Authority),
    jwtAuthorities: bundle.jwtAuthorities.map(toWireJwtAuthority),
    refreshHint: BigInt(bundle.refreshHintSeconds),
    sequenceNumber: bundle.sequenceNumber,
    witAuthorities: [],
  };
}

/** Its certificates and keys are not parsed. @throws SpiffeError `BUNDLE_INVALID`, also where there is none */
export function fromWireBundle(bundle: WireBundle | undefined): Bundle {
  if (bundle === undefined) throw new SpiffeError('BUNDLE_INVALID', 'the message has no bundle');
  return {
    trustDomain: parseTrustDomain(bundle.trustDomain),
    x509Authorities: bundle.x509Authorities.map(fromWireX509Authority),
    jwtAuthorities: bundle.jwtAuthorities.map(fromWireJwtAuthority),
    refreshHintSeconds: toSafeNumber(bundle.refreshHint, 'the refresh hint'),
    sequenceNumber: bundle.sequenceNumber,
  };
}

function toSafeNumber(value: bigint, what: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new SpiffeError('BUNDLE_INVALID', `${what} is ${value}, which is no time`);
  }
  return Number(value);
}
