import { generateKeyPairSync } from 'node:crypto';
import type { Bundle } from '../../src/spiffe/bundle.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';

const authorities = [await TestAuthority.create(), await TestAuthority.create()];

const newKey = (): Uint8Array =>
  new Uint8Array(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' }));

/** A bundle with every field set. */
export const SAMPLE_BUNDLE: Bundle = {
  trustDomain: parseTrustDomain('example.org'),
  x509Authorities: authorities.map(({ certificate }, index) => ({
    certificate: certificate.der,
    tainted: index === 1,
  })),
  jwtAuthorities: [
    { keyId: 'one', publicKey: newKey(), expiresAt: 1_900_000_000, tainted: false },
    { keyId: 'two', publicKey: newKey(), expiresAt: 0, tainted: true },
  ],
  refreshHintSeconds: 300,
  sequenceNumber: 2n ** 53n + 1n,
};
