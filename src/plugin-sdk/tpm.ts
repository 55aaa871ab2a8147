// What the attestor `tpm` verifies with: evidence of a TPM as bytes, for attestors of others that judge a TPM in their own way.

export {
  type BootPolicyFile,
  bootPolicies,
  bootPolicyConfig,
  otherwise,
  readBootPolicyFile,
} from '../config/boot-policy.ts';
export { reattestationFields } from '../config/reattestation-fields.ts';
export { AK_TEMPLATES, type AkTemplateName, encodeAkTemplate } from '../tpm/ak-templates.ts';
export { hashOfId, isStrongHash, type StrongHash, TPM_HASHES } from '../tpm/algorithms.ts';
export { type ClockInfo, parseQuoteAttest } from '../tpm/attest.ts';
export { type AttestationKey, requireAttestationKey } from '../tpm/attestation-key.ts';
export {
  type BootAuthority,
  type BootFacts,
  type CommandLineFacts,
  type EventLogFacts,
  type EventReference,
  type Fact,
  type FirmwareFacts,
  type GrubFacts,
  type ImaCheckpoint,
  type ImaFacts,
  type ImaFile,
  isKnown,
  type LoaderFacts,
  type SecureBootFacts,
  type UkiFacts,
  type Unknown,
} from '../tpm/boot/boot-facts.ts';
export type { ImaEvidence } from '../tpm/boot/ima-facts.ts';
export {
  type BootEvidence,
  type QuotedPcrs,
  readBootFacts,
  readBootFactsInSlices,
} from '../tpm/boot/read-boot-facts.ts';
export {
  type EventLogInputs,
  type RememberedEventLog,
  RememberedEventLogs,
} from '../tpm/boot/remembered-event-logs.ts';
export { verifyCertification } from '../tpm/certification.ts';
export {
  EK_TEMPLATES,
  type EkTemplate,
  type EkTemplateName,
  encodeEkTemplate,
  findEkTemplate,
} from '../tpm/ek-templates.ts';
export { type EndorsementKey, requireEndorsementKey } from '../tpm/endorsement-key.ts';
export { imaPrefixBytes } from '../tpm/ima/ima-prefix-bytes.ts';
export { type KeyBindingEvidence, type KeyBindingExpectation, verifyKeyBinding } from '../tpm/key-binding.ts';
export { credentialEntropyBytes, makeCredential } from '../tpm/make-credential.ts';
export { nameOf } from '../tpm/names.ts';
export { cutNvCertificate } from '../tpm/nv-certificate.ts';
export { hasObjectAttribute, type ObjectAttribute } from '../tpm/object-attributes.ts';
export {
  encodePcrSelections,
  MAX_PCR_INDEX,
  type PcrRequest,
  type PcrSelection,
  readPcrSelections,
} from '../tpm/pcr-selection.ts';
export type { BootPolicy } from '../tpm/policy/boot-policy.ts';
export { bootSelectors } from '../tpm/policy/boot-selectors.ts';
export { checkPolicies } from '../tpm/policy/check-policies.ts';
export {
  explain,
  judge,
  judgeInSlices,
  nextImaCheckpoint,
  type PolicyRefusal,
  REFUSAL_FOR_PEER,
  type Verdict,
} from '../tpm/policy/judge.ts';
export type { JudgeContext } from '../tpm/policy/judge-context.ts';
export { pcrsRead } from '../tpm/policy/pcrs-read.ts';
export { policyDigest } from '../tpm/policy/policy-digest.ts';
export {
  MAX_POLICY_FILE_BYTES,
  openSignedPolicy,
  parsePolicyKey,
  requireVersion,
  type SignedPolicy,
} from '../tpm/policy/signed-policy.ts';
export { encodePublicArea, type PublicArea, parsePublic, parsePublicArea } from '../tpm/public-area.ts';
export { spkiOfPublicArea } from '../tpm/public-key.ts';
export { qualifyingData } from '../tpm/qualifying-data.ts';
export { type VerifiedQuote, verifyQuote } from '../tpm/quote.ts';
export { hasRocaFingerprint } from '../tpm/roca.ts';
export { TpmReader } from '../tpm/tpm-reader.ts';
export { sized } from '../tpm/tpm-writer.ts';
export {
  type EkCertificateFacts,
  type EkTrust,
  findEkCertificate,
  findEkChain,
  parseEkCertificates,
  requireEkCertificate,
} from '../x509/ek-certificate.ts';
export { type EkRevocation, requireUnrevokedChain, requireUnrevokedKey } from '../x509/ek-revocation.ts';
export { type CheckId, requireCheck } from '../x509/require-check.ts';
