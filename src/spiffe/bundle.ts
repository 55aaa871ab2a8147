import type { TrustDomain } from './trust-domain.ts';

/** A CA certificate that verifies X509-SVIDs of the trust domain. */
export interface X509Authority {
  /** DER of one certificate. */
  readonly certificate: Uint8Array;
  readonly tainted: boolean;
}

/** A public key that verifies JWT-SVIDs of the trust domain. */
export interface JwtAuthority {
  readonly keyId: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** Unix seconds; 0: no end is known. */
  readonly expiresAt: number;
  readonly tainted: boolean;
}

export interface Bundle {
  readonly trustDomain: TrustDomain;
  readonly x509Authorities: readonly X509Authority[];
  readonly jwtAuthorities: readonly JwtAuthority[];
  /** 0: none given. */
  readonly refreshHintSeconds: number;
  readonly sequenceNumber: bigint;
}

export function emptyBundle(trustDomain: TrustDomain): Bundle {
  return { trustDomain, x509Authorities: [], jwtAuthorities: [], refreshHintSeconds: 0, sequenceNumber: 0n };
}

/** The JWT authority that a token names by `kid`; a tainted one is found too. */
export function jwtAuthorityOf(bundle: Bundle, keyId: string): JwtAuthority | undefined {
  return bundle.jwtAuthorities.find((authority) => authority.keyId === keyId);
}

/** Tells whether the same DER certificate is an authority of the bundle. */
export function hasX509Authority(bundle: Bundle, certificate: Uint8Array): boolean {
  return bundle.x509Authorities.some((authority) => Buffer.compare(authority.certificate, certificate) === 0);
}

/** Union by DER certificate, order of `current` first; an authority tainted in either is tainted. */
export function unionOfX509Authorities(
  current: readonly X509Authority[],
  added: readonly X509Authority[],
): readonly X509Authority[] {
  return union(current, added, (authority) => Buffer.from(authority.certificate).toString('base64'));
}

/** Union by key ID, order and keys of `current` first; an authority tainted in either is tainted. */
export function unionOfJwtAuthorities(
  current: readonly JwtAuthority[],
  added: readonly JwtAuthority[],
): readonly JwtAuthority[] {
  return union(current, added, (authority) => authority.keyId);
}

function union<T extends { readonly tainted: boolean }>(
  current: readonly T[],
  added: readonly T[],
  keyOf: (authority: T) => string,
): readonly T[] {
  const byKey = new Map<string, T>();
  for (const authority of [...current, ...added]) {
    const key = keyOf(authority);
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, authority);
    else if (authority.tainted && !known.tainted) byKey.set(key, { ...known, tainted: true });
  }
  return [...byKey.values()];
}

/** Same certificates with the same taint, in whatever order. */
export function sameX509Authorities(a: readonly X509Authority[], b: readonly X509Authority[]): boolean {
  return sameSet(a, b, ({ certificate, tainted }) => `${tainted} ${Buffer.from(certificate).toString('base64')}`);
}

/** Same key IDs, keys, expiry and taint, in whatever order. */
export function sameJwtAuthorities(a: readonly JwtAuthority[], b: readonly JwtAuthority[]): boolean {
  return sameSet(a, b, ({ keyId, publicKey, expiresAt, tainted }) =>
    JSON.stringify([keyId, Buffer.from(publicKey).toString('base64'), expiresAt, tainted]),
  );
}

function sameSet<T>(a: readonly T[], b: readonly T[], keyOf: (authority: T) => string): boolean {
  if (a === b) return true;
  const keys = new Set(a.map(keyOf));
  const others = new Set(b.map(keyOf));
  return keys.size === others.size && [...keys].every((key) => others.has(key));
}

/** Same trust domain, authorities and refresh hint; the sequence number does not count. */
export function sameBundle(a: Bundle, b: Bundle): boolean {
  return (
    a.trustDomain === b.trustDomain &&
    a.refreshHintSeconds === b.refreshHintSeconds &&
    sameX509Authorities(a.x509Authorities, b.x509Authorities) &&
    sameJwtAuthorities(a.jwtAuthorities, b.jwtAuthorities)
  );
}

/**
 * Adds the authorities of `added` to `current`, whose refresh hint stays unless it has none.
 *
 * @returns `current` itself where nothing changes, otherwise a bundle whose sequence number is one higher.
 */
export function mergeBundles(current: Bundle, added: Bundle): Bundle {
  const merged: Bundle = {
    trustDomain: current.trustDomain,
    x509Authorities: unionOfX509Authorities(current.x509Authorities, added.x509Authorities),
    jwtAuthorities: unionOfJwtAuthorities(current.jwtAuthorities, added.jwtAuthorities),
    refreshHintSeconds: current.refreshHintSeconds || added.refreshHintSeconds,
    sequenceNumber: current.sequenceNumber + 1n,
  };
  return sameBundle(current, merged) ? current : merged;
}
