import { z } from 'zod';
import type { Bundle } from '../../spiffe/bundle.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';

/** Bytes as base64 text. */
export const storedBytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));

export function toStoredBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** A bundle as JSON, with what a SPIFFE bundle document cannot say: taint and the end of JWT keys. */
export const storedBundle = z.strictObject({
  trustDomain: z.string().transform(parseTrustDomain),
  x509Authorities: z.array(z.strictObject({ certificate: storedBytes, tainted: z.boolean() })),
  jwtAuthorities: z.array(
    z.strictObject({ keyId: z.string(), publicKey: storedBytes, expiresAt: z.int(), tainted: z.boolean() }),
  ),
  refreshHintSeconds: z.int(),
  sequenceNumber: z
    .string()
    .regex(/^\d{1,20}$/)
    .transform(BigInt),
});

export function toStoredBundle(bundle: Bundle): z.input<typeof storedBundle> {
  return {
    trustDomain: bundle.trustDomain,
    x509Authorities: bundle.x509Authorities.map(({ certificate, tainted }) => ({
      certificate: toStoredBytes(certificate),
      tainted,
    })),
    jwtAuthorities: bundle.jwtAuthorities.map(({ keyId, publicKey, expiresAt, tainted }) => ({
      keyId,
      publicKey: toStoredBytes(publicKey),
      expiresAt,
      tainted,
    })),
    refreshHintSeconds: bundle.refreshHintSeconds,
    sequenceNumber: String(bundle.sequenceNumber),
  };
}
