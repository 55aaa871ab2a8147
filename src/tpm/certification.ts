import { requireCheck } from '../x509/require-check.ts';
import { type CertifyAttest, parseCertifyAttest } from './attest.ts';
import type { AttestationKey } from './attestation-key.ts';
import type { EndorsementKey } from './endorsement-key.ts';
import { qualifiedNameOfAk } from './names.ts';
import { isSignatureBy, parseSignature } from './signature.ts';

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
  const signature = parseSignature(evidence.signature);
  requireCheck(
    'C18',
    signature.scheme === ak.scheme && signature.hash === ak.hash,
    `the certification is signed with ${signature.scheme} and ${signature.hash}, the attestation key has ${ak.scheme} and ${ak.hash}`,
  );
  requireCheck(
    'C18',
    isSignatureBy(ak.publicKey, signature, evidence.attest),
    'the certification was not signed by the attestation key, or was changed afterwards',
  );
  const certification = parseCertifyAttest(evidence.attest);
  requireCheck(
    'B13',
    areEqual(certification.name, name),
    'the attestation key certified another key than the one whose public area was sent',
  );
  if (binding === undefined) return certification;
  requireCheck(
    'B17',
    areEqual(certification.qualifiedSigner, qualifiedNameOfAk(binding.ek.publicArea, ak.publicArea)),
    'the attestation key that signed the certification does not lie under this endorsement key',
  );
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
