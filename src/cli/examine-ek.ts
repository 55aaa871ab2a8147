import type { EndorsementKey } from '../tpm/endorsement-key.ts';
import type { EkTrustStore } from '../tpm-trust/ek-trust-store.ts';
import { type EkVerdict, requireTrustedEk } from '../tpm-trust/require-trusted-ek.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { parseEkCertificates } from '../x509/ek-certificate.ts';
import { Problems } from './problems.ts';

/** An endorsement key with its certificates, and what is wrong with it. */
export interface ExaminedEk {
  readonly ek: EndorsementKey;
  /** The key's own first; those that can be read. */
  readonly certificates: readonly Certificate[];
  /** Undefined where it is not trusted, or nobody said whom to trust. */
  readonly verdict: EkVerdict | undefined;
  readonly isJudged: boolean;
  readonly problems: readonly string[];
}

/** @param trust without, nothing is judged */
export function examineEk(
  { ek, certificates }: { readonly ek: EndorsementKey; readonly certificates: readonly Uint8Array[] },
  trust: EkTrustStore | undefined,
  now: Date,
): ExaminedEk {
  const problems = new Problems();
  const parsed = certificates.flatMap((der) => problems.attempt(() => parseCertificate(der)) ?? []);
  const verdict = trust && problems.attempt(() => requireTrustedEk(ek, parseEkCertificates(certificates), trust, now));
  return { ek, certificates: parsed, verdict, isJudged: trust !== undefined, problems: problems.messages };
}
