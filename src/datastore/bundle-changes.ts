import type { Bundle, JwtAuthority, X509Authority } from '../spiffe/bundle.ts';
import { sameBundle } from '../spiffe/bundle.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { parseCertificate } from '../x509/certificate.ts';

/** A partner can say that its bundle is at the last number there is; then that stays. */
const MAX_SEQUENCE_NUMBER = 2n ** 64n - 1n;

/** `given` in the place of `current`; a content that changed never keeps or lowers the sequence number. */
export function replaceBundle(current: Bundle, given: Bundle): Bundle {
  const least = sameBundle(current, given) ? current.sequenceNumber : sequenceNumberAfter(current);
  return given.sequenceNumber < least ? { ...given, sequenceNumber: least } : given;
}

/**
 * Removes authorities that expired before `expiredBefore` (Unix seconds). When every certificate expired, the one
 * that ended last stays, so that the bundle never comes to trust nothing.
 *
 * @returns `bundle` itself where nothing expired.
 */
export function pruneBundle(bundle: Bundle, expiredBefore: number): Bundle {
  const ends = new Map(bundle.x509Authorities.map((authority) => [authority, endOf(authority)]));
  const lastEnd = Math.max(...ends.values());
  const x509Authorities = bundle.x509Authorities.filter((authority) => {
    const end = ends.get(authority) ?? lastEnd;
    return end >= expiredBefore || end === lastEnd;
  });
  const jwtAuthorities = bundle.jwtAuthorities.filter(({ expiresAt }) => expiresAt === 0 || expiresAt >= expiredBefore);
  const unchanged =
    x509Authorities.length === bundle.x509Authorities.length && jwtAuthorities.length === bundle.jwtAuthorities.length;
  return unchanged ? bundle : next(bundle, { x509Authorities, jwtAuthorities });
}

function endOf({ certificate }: X509Authority): number {
  return Math.floor(parseCertificate(certificate).notAfter.getTime() / 1000);
}

/** @throws SpiffeError `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (tainted already) */
export function taintX509Authority(bundle: Bundle, subjectKeyId: string): Bundle {
  const found = untainted(x509AuthoritiesOf(bundle, subjectKeyId), `X.509 authority "${subjectKeyId}"`);
  return next(bundle, {
    x509Authorities: bundle.x509Authorities.map((it) => (found.includes(it) ? { ...it, tainted: true } : it)),
  });
}

/** @throws SpiffeError `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (not tainted) */
export function revokeX509Authority(bundle: Bundle, subjectKeyId: string): Bundle {
  const found = tainted(x509AuthoritiesOf(bundle, subjectKeyId), `X.509 authority "${subjectKeyId}"`);
  return next(bundle, { x509Authorities: bundle.x509Authorities.filter((it) => !found.includes(it)) });
}

/** @throws SpiffeError `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (tainted already) */
export function taintJwtAuthority(bundle: Bundle, keyId: string): Bundle {
  const found = untainted(jwtAuthoritiesOf(bundle, keyId), `JWT authority "${keyId}"`);
  return next(bundle, {
    jwtAuthorities: bundle.jwtAuthorities.map((it) => (found.includes(it) ? { ...it, tainted: true } : it)),
  });
}

/** @throws SpiffeError `KEY_NOT_FOUND`, `FAILED_PRECONDITION` (not tainted) */
export function revokeJwtAuthority(bundle: Bundle, keyId: string): Bundle {
  const found = tainted(jwtAuthoritiesOf(bundle, keyId), `JWT authority "${keyId}"`);
  return next(bundle, { jwtAuthorities: bundle.jwtAuthorities.filter((it) => !found.includes(it)) });
}

/** Several certificates may certify one key. */
function x509AuthoritiesOf(bundle: Bundle, subjectKeyId: string): readonly X509Authority[] {
  const wanted = subjectKeyId.toLowerCase();
  const found = bundle.x509Authorities.filter(({ certificate }) => {
    const keyId = parseCertificate(certificate).subjectKeyId;
    return keyId !== undefined && Buffer.from(keyId).toString('hex') === wanted;
  });
  if (found.length > 0) return found;
  throw new SpiffeError(
    'KEY_NOT_FOUND',
    `bundle of "${bundle.trustDomain}" has no X.509 authority with subject key ID "${subjectKeyId}"`,
  );
}

function jwtAuthoritiesOf(bundle: Bundle, keyId: string): readonly JwtAuthority[] {
  const found = bundle.jwtAuthorities.filter((authority) => authority.keyId === keyId);
  if (found.length > 0) return found;
  throw new SpiffeError(
    'KEY_NOT_FOUND',
    `bundle of "${bundle.trustDomain}" has no JWT authority with key ID "${keyId}"`,
  );
}

function untainted<A extends X509Authority | JwtAuthority>(found: readonly A[], what: string): readonly A[] {
  if (found.some((authority) => !authority.tainted)) return found;
  throw new SpiffeError('FAILED_PRECONDITION', `${what} is tainted already`);
}

function tainted<A extends X509Authority | JwtAuthority>(found: readonly A[], what: string): readonly A[] {
  if (found.every((authority) => authority.tainted)) return found;
  throw new SpiffeError('FAILED_PRECONDITION', `${what} is not tainted: taint it before it is revoked`);
}

function next(bundle: Bundle, changes: Partial<Bundle>): Bundle {
  return { ...bundle, ...changes, sequenceNumber: sequenceNumberAfter(bundle) };
}

function sequenceNumberAfter({ sequenceNumber }: Bundle): bigint {
  return sequenceNumber < MAX_SEQUENCE_NUMBER ? sequenceNumber + 1n : sequenceNumber;
}
