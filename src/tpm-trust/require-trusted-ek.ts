import type { EndorsementKey } from '../tpm/endorsement-key.ts';
import type { Certificate } from '../x509/certificate.ts';
import {
  type EkCertificateFacts,
  findEkCertificate,
  findEkChain,
  requireEkCertificate,
} from '../x509/ek-certificate.ts';
import { requireUnrevokedKey } from '../x509/ek-revocation.ts';
import { requireCheck } from '../x509/require-check.ts';
import type { EkKind, EkTrustStore } from './ek-trust-store.ts';

/** Why an endorsement key is believed to be a TPM's. */
export interface EkVerdict {
  readonly kind: EkKind;
  /** Absent for a key that is trusted because its hash is enrolled. */
  readonly facts?: EkCertificateFacts;
}

/**
 * Enrolment decides where no certificate does; a certificate that chains to a listed CA has to be good in every respect.
 *
 * @param certificates that the node sent, decoded by {@link parseEkCertificates}
 * @throws SpiffeError `ATTESTATION_DENIED` (A2 to A11), `DER_INVALID` for a key that cannot be read
 */
export function requireTrustedEk(
  ek: EndorsementKey,
  certificates: readonly Certificate[],
  trust: EkTrustStore,
  now: Date,
): EkVerdict {
  requireUnrevokedKey(ek.spki, trust.revocation);
  const enrolled = trust.enrolled.get(ek.pubHash);
  const leaf = findEkCertificate(certificates, ek.spki);
  const hasCas = trust.hardwareCas.length + trust.virtualCas.length > 0;
  const found = leaf !== undefined && hasCas ? findEkChain(leaf, certificates, trust, now) : undefined;
  if (leaf === undefined || found === undefined || ('reason' in found && enrolled !== undefined)) {
    requireCheck(
      'A11',
      enrolled !== undefined,
      `the endorsement key ${ek.pubHash} has no certificate to judge and is not enrolled: add its hash to "hash_path"`,
    );
    return { kind: enrolled };
  }
  const facts = requireEkCertificate(leaf, found, trust, now);
  return { kind: facts.kind, facts };
}
