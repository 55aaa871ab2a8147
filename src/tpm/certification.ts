import { requireCheck } from '../x509/require-check.ts';
import { requireSignedByAk, requireUnderEk } from './ak-statement.ts';
import { type CertifyAttest, parseCertifyAttest } from './attest.ts';
import type { AttestationKey } from './attestation-key.ts';
import type { EndorsementKey } from './endorsement-key.ts';

/** What TPM2_Certify gives. */
export interface CertificationEvidence {
  /** TPMS_ATTEST, the bytes that were signed. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
}

export interface CertificationExpectation {
  readonly ak: AttestationKey;
  /** Of the certified key, computed from its public area. */
  readonly name: Uint8Array;
  /** What ties the certification to one exchange; absent, it says only that the key is in the AK's TPM, whenever it was made. */
  readonly binding?: {
    readonly qualifyingData: Uint8Array;
    /** The AK has to lie under it. */
    readonly ek: EndorsementKey;
  };
}

/**
 * Verifies that an attestation key certified a key, which therefore is in the same TPM: from the signature inwards, nothing
 * inside is looked at before the signature holds.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (B13, B17, C18 to C20), or `TPM_DATA_INVALID` for bytes that are no certification
 * @see Part 3, TPM2_Certify
 */
export function verifyCertification(
  evidence: CertificationEvidence,
  { ak, name, binding }: CertificationExpectation,
): CertifyAttest {
  requireSignedByAk('certification', evidence.attest, evidence.signature, ak);
  const certification = parseCertifyAttest(evidence.attest);
  requireCheck(
    'B13',
    areEqual(certification.name, name),
    'the attestation key certified another key than the one whose public area was sent',
  );
  if (binding === undefined) return certification;
  requireUnderEk('certification', certification.qualifiedSigner, ak, binding.ek);
  requireCheck(
    'C20',
    areEqual(certification.extraData, binding.qualifyingData),
    'the certification was made for another challenge, another CSR key or other TPM keys',
  );
  return certification;
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
