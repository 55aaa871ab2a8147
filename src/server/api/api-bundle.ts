import {
  Bundle as ApiBundle,
  type BundleMask,
  type JWTKey,
  type X509Certificate,
} from '../../gen/spire/api/types/types.ts';
import type { Bundle, JwtAuthority, X509Authority } from '../../spiffe/bundle.ts';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { publicKeyOfSpki } from '../../x509/spki.ts';

const MAX_AUTHORITIES = 1024;
const MAX_KEY_ID_CHARACTERS = 1024;
/** What a column of the datastore and a timer can hold; nobody polls a bundle less often than every 68 years. */
const MAX_REFRESH_HINT = 2n ** 31n - 1n;
const MAX_EXPIRY = BigInt(Number.MAX_SAFE_INTEGER);

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

/** @throws SpiffeError `BUNDLE_INVALID`, `SPIFFE_ID_INVALID` */
export function fromApiBundle(bundle: ApiBundle): Bundle {
  const { refreshHint } = bundle;
  if (refreshHint < 0n || refreshHint > MAX_REFRESH_HINT) {
    throw invalid(`refresh hint ${refreshHint} is no number of seconds from 0 to ${MAX_REFRESH_HINT}`);
  }
  return {
    trustDomain: parseTrustDomain(bundle.trustDomain),
    x509Authorities: fromApiX509Authorities(bundle.x509Authorities),
    jwtAuthorities: fromApiJwtAuthorities(bundle.jwtAuthorities),
    refreshHintSeconds: Number(refreshHint),
    sequenceNumber: bundle.sequenceNumber,
  };
}

/** Whether one is tainted is not for the caller to say. @throws SpiffeError `BUNDLE_INVALID` */
export function fromApiX509Authorities(authorities: readonly X509Certificate[]): readonly X509Authority[] {
  requireFew(authorities, 'X.509');
  return authorities.map(({ asn1 }, index) =>
    parsed(`X.509 authority ${index + 1}`, () => ({ certificate: parseCertificate(asn1).der, tainted: false })),
  );
}

/** @throws SpiffeError `BUNDLE_INVALID` */
export function fromApiJwtAuthorities(authorities: readonly JWTKey[]): readonly JwtAuthority[] {
  requireFew(authorities, 'JWT');
  const keyIds = new Set<string>();
  return authorities.map(({ keyId, publicKey, expiresAt }, index) =>
    parsed(`JWT authority ${index + 1}`, () => {
      publicKeyOfSpki(publicKey);
      if (keyId === '') throw invalid('missing key ID');
      if (keyId.length > MAX_KEY_ID_CHARACTERS) {
        throw invalid(`key ID has ${keyId.length} characters: ${MAX_KEY_ID_CHARACTERS} at most`);
      }
      if (keyIds.has(keyId)) throw invalid(`key ID "${keyId}" names two keys`);
      if (expiresAt < 0n || expiresAt > MAX_EXPIRY) throw invalid(`expiry ${expiresAt} is no time in Unix seconds`);
      keyIds.add(keyId);
      return { keyId, publicKey: new Uint8Array(publicKey), expiresAt: Number(expiresAt), tainted: false };
    }),
  );
}

function requireFew(authorities: readonly unknown[], kind: string): void {
  if (authorities.length <= MAX_AUTHORITIES) return;
  throw invalid(`bundle has ${authorities.length} ${kind} authorities: ${MAX_AUTHORITIES} at most`);
}

function parsed<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('BUNDLE_INVALID', `unable to parse ${what}: ${cause.message}`, { cause });
  }
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('BUNDLE_INVALID', message);
}
