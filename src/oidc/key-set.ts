import { createPublicKey, type JsonWebKey } from 'node:crypto';
import type { JwtAuthority } from '../spiffe/bundle.ts';

export interface KeySetOptions {
  /** Whether each key says `use: sig`. */
  readonly setKeyUse: boolean;
}

/**
 * The keys that JWT-SVIDs are verified by, as a JWK Set for relying parties: without those of the past, and each with its
 * algorithm. Source: RFC 7517 §4, §5; JWT-SVID §3.
 */
export function formatKeySet(authorities: readonly JwtAuthority[], now: Date, { setKeyUse }: KeySetOptions): string {
  const nowSeconds = now.getTime() / 1000;
  const keys = authorities
    .filter(({ expiresAt }) => expiresAt === 0 || expiresAt > nowSeconds)
    .map(({ keyId, publicKey }) => {
      const jwk = createPublicKey({ key: Buffer.from(publicKey), type: 'spki', format: 'der' }).export({
        format: 'jwk',
      });
      return { ...(setKeyUse ? { use: 'sig' } : {}), ...jwk, kid: keyId, alg: algorithmOf(jwk) };
    });
  return `${JSON.stringify({ keys }, null, 2)}\n`;
}

/** JWT-SVID §3.2, of the kinds of keys that servers have. */
function algorithmOf({ kty, crv }: JsonWebKey): string | undefined {
  if (kty === 'RSA') return 'RS256';
  return crv === undefined ? undefined : { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' }[crv];
}
