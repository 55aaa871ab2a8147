import { createHash } from 'node:crypto';
import type { Bundle } from '../../../src/spiffe/bundle.ts';

// What a plugin was sent, in one line: the same words as the Go plugins'.

export function describeBundle(bundle: Bundle): string {
  return [
    bundle.trustDomain,
    `hint=${bundle.refreshHintSeconds}`,
    `sequence=${bundle.sequenceNumber}`,
    ...bundle.x509Authorities.map(({ certificate, tainted }) => `x509=${digest(certificate)}/${tainted}`),
    ...bundle.jwtAuthorities.map(
      ({ keyId, publicKey, expiresAt, tainted }) => `jwt=${keyId}/${digest(publicKey)}/${expiresAt}/${tainted}`,
    ),
  ].join(' ');
}

export interface DescribedSvid {
  readonly spiffeId: string;
  readonly certificates: readonly Uint8Array[];
  readonly privateKey: Uint8Array;
  readonly bundle: readonly Uint8Array[];
  readonly expiresAt: number;
  readonly metadata: readonly string[];
  /** By trust domain ID. */
  readonly federatedBundles: Iterable<readonly [string, Uint8Array]>;
}

export function describeSvid(svid: DescribedSvid): string {
  return [
    svid.spiffeId,
    `chain=${svid.certificates.length}/${digest(...svid.certificates)}`,
    `key=${digest(svid.privateKey)}`,
    `bundle=${svid.bundle.length}/${digest(...svid.bundle)}`,
    `expires=${svid.expiresAt}`,
    `metadata=${svid.metadata.join(',')}`,
    ...[...svid.federatedBundles].map(([id, bundle]) => `${id}=${digest(bundle)}`).sort(),
  ].join(' ');
}

/** Short: the first 8 octets of the SHA-256. */
export function digest(...parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex').slice(0, 16);
}
