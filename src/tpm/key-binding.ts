import { requireCheck } from '../x509/require-check.ts';
import { canonicalSpki } from '../x509/spki.ts';
import { isStrongHash } from './algorithms.ts';
import type { AttestationKey } from './attestation-key.ts';
import { type CertificationEvidence, verifyCertification } from './certification.ts';
import type { EndorsementKey } from './endorsement-key.ts';
import { nameOf } from './names.ts';
import { hasObjectAttribute, type ObjectAttribute } from './object-attributes.ts';
import { parsePublic } from './public-area.ts';
import { spkiOfPublicArea } from './public-key.ts';
import type { VerifiedQuote } from './quote.ts';

/** What says that a key lives in the TPM of an attestation key. */
export interface KeyBindingEvidence extends CertificationEvidence {
  /** TPM2B_PUBLIC of the key. */
  readonly publicArea: Uint8Array;
}

export interface KeyBindingExpectation {
  readonly ek: EndorsementKey;
  readonly ak: AttestationKey;
  readonly qualifyingData: Uint8Array;
  /** SubjectPublicKeyInfo (DER) of the CSR. */
  readonly csrPublicKey: Uint8Array;
  /** Of the same attestation. */
  readonly quote: Pick<VerifiedQuote, 'clockInfo' | 'firmwareVersion'>;
}

/** Made by this TPM, never to leave it, and able to sign. */
const REQUIRED: readonly ObjectAttribute[] = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'sign'];

/**
 * Verifies that the key of the CSR lives in the TPM that is being attested, and cannot leave it.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (B13, B17, C18 to C20, H51 to H54), or `TPM_DATA_INVALID` for bytes that cannot be read
 */
export function verifyKeyBinding(evidence: KeyBindingEvidence, expected: KeyBindingExpectation): void {
  const { ek, ak, qualifyingData, csrPublicKey, quote } = expected;
  const area = parsePublic(evidence.publicArea);
  requireCheck(
    'H51',
    isStrongHash(area.nameAlg),
    `the certified key is named by ${area.nameAlg}, SHA-256 or better is needed`,
  );
  const binding = { qualifyingData, ek };
  const { clockInfo, firmwareVersion } = verifyCertification(evidence, { ak, name: nameOf(area), binding });
  for (const attribute of REQUIRED) {
    requireCheck(
      'H52',
      hasObjectAttribute(area.attributes, attribute),
      `the certified key lacks the attribute ${attribute}: it may not be the TPM's alone`,
    );
  }
  requireCheck(
    'H53',
    Buffer.compare(spkiOfPublicArea(area), canonicalSpki(csrPublicKey)) === 0,
    'the key that the TPM certified is not the key of the CSR',
  );
  requireCheck(
    'H54',
    clockInfo.resetCount === quote.clockInfo.resetCount &&
      clockInfo.restartCount === quote.clockInfo.restartCount &&
      firmwareVersion === quote.firmwareVersion,
    'the certification and the quote are not of one run of the TPM',
  );
}
