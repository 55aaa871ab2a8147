import { requireCheck } from '../x509/require-check.ts';
import type { AttestationKey } from './attestation-key.ts';
import type { EndorsementKey } from './endorsement-key.ts';
import { type NamedObject, qualifiedNameUnder } from './names.ts';
import { isSignatureBy, parseSignature } from './signature.ts';

/** What an attestation key states. */
export type AkStatement = 'quote' | 'certification';

/**
 * Before anything in the statement is looked at.
 *
 * @param attest TPMS_ATTEST, the bytes that were signed
 * @param bytes TPMT_SIGNATURE
 * @throws SpiffeError `ATTESTATION_DENIED` (C18), or `TPM_DATA_INVALID` for bytes that are no signature
 */
export function requireSignedByAk(what: AkStatement, attest: Uint8Array, bytes: Uint8Array, ak: AttestationKey): void {
  const signature = parseSignature(bytes);
  requireCheck(
    'C18',
    signature.scheme === ak.scheme && signature.hash === ak.hash,
    `the ${what} is signed with ${signature.scheme} and ${signature.hash}, the attestation key has ${ak.scheme} and ${ak.hash}`,
  );
  requireCheck(
    'C18',
    isSignatureBy(ak.publicKey, signature, attest),
    `the ${what} was not signed by the attestation key, or was changed afterwards`,
  );
}

/** @throws SpiffeError `ATTESTATION_DENIED` (B17) */
export function requireUnderEk(
  what: AkStatement,
  qualifiedSigner: Uint8Array,
  ak: AttestationKey,
  ek: EndorsementKey,
): void {
  requireCheck(
    'B17',
    Buffer.compare(qualifiedSigner, qualifiedNameUnder(namedBy(ek), namedBy(ak))) === 0,
    `the attestation key that signed the ${what} does not lie under this endorsement key`,
  );
}

const namedBy = ({ publicArea: { nameAlg }, name }: EndorsementKey | AttestationKey): NamedObject => ({
  nameAlg,
  name,
});
