import { createHash } from 'node:crypto';
import type { Bundle } from '../spiffe/bundle.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { parseCertificate } from '../x509/certificate.ts';

/** An X.509 authority of our own trust domain that the server took back before its time: it was revoked. */
export interface LostAuthority {
  /** Of its certificate, in hexadecimal. */
  readonly sha256: string;
  /** When it would have ended by itself. */
  readonly endsAt: Date;
}

/** More than any server has had: the newest are kept. */
const MAX_KEPT = 1_000;

/** What is known to be lost once a bundle has taken the place of another; what came back is not, nor what has ended. */
export function followLost(
  known: readonly LostAuthority[],
  before: Bundle,
  after: Bundle,
  now: Date,
): readonly LostAuthority[] {
  const current = new Set(after.x509Authorities.map(({ certificate }) => sha256(certificate)));
  const lost = before.x509Authorities.map(({ certificate }) => ({
    sha256: sha256(certificate),
    endsAt: parseCertificate(certificate).notAfter,
  }));
  const all = new Map([...known, ...lost].map((authority) => [authority.sha256, authority]));
  return [...all.values()].filter((each) => !current.has(each.sha256) && each.endsAt > now).slice(-MAX_KEPT);
}

/**
 * A bundle of the configured source, without what our server has revoked since, or tainted: whoever has the key of such an
 * authority is whom it was revoked for.
 *
 * @throws SpiffeError `BUNDLE_INVALID` where nothing is left to verify a server by
 */
export function withoutLost(source: Bundle, current: Bundle, lost: readonly LostAuthority[]): Bundle {
  const tainted = current.x509Authorities.filter((authority) => authority.tainted);
  const refused = new Set([
    ...lost.map((each) => each.sha256),
    ...tainted.map(({ certificate }) => sha256(certificate)),
  ]);
  const x509Authorities = source.x509Authorities.filter(({ certificate }) => !refused.has(sha256(certificate)));
  if (x509Authorities.length > 0) return { ...source, x509Authorities };
  throw new SpiffeError(
    'BUNDLE_INVALID',
    'the bundle of its source has only authorities that the server has tainted or revoked since: put the bundle of the new server there, or start the agent with a new data_dir',
  );
}

function sha256(certificate: Uint8Array): string {
  return createHash('sha256').update(certificate).digest('hex');
}
