import { createHash } from 'node:crypto';
import { requireCheck } from '../x509/require-check.ts';
import { requireSignedByAk, requireUnderEk } from './ak-statement.ts';
import { TPM_HASHES } from './algorithms.ts';
import { type ClockInfo, parseQuoteAttest } from './attest.ts';
import type { AttestationKey } from './attestation-key.ts';
import type { EndorsementKey } from './endorsement-key.ts';
import type { PcrRequest, PcrSelection } from './pcr-selection.ts';

export interface QuoteEvidence {
  /** TPMS_ATTEST, the bytes that were signed. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  /** One value per requested PCR, in ascending order of index. */
  readonly pcrValues: readonly Uint8Array[];
}

export interface QuoteExpectation {
  readonly ek: EndorsementKey;
  /** The key that the credential was activated with, and no other. */
  readonly ak: AttestationKey;
  readonly qualifyingData: Uint8Array;
  readonly pcrs: PcrRequest;
  /** Whether a bank that no firmware measured into may pass. Its PCRs say nothing, see {@link VerifiedQuote.isMeasured}. */
  readonly allowUnmeasured: boolean;
}

/** What the TPM said, all of it covered by the signature. */
export interface VerifiedQuote {
  /** By PCR index. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** False where PCRs 0 to 7 are all zero: then no value of this bank means anything. */
  readonly isMeasured: boolean;
  readonly clockInfo: ClockInfo;
  readonly firmwareVersion: bigint;
}

/** PCRs that software may reset at any time: PC Client Platform TPM Profile, §4.6 (debug and application). */
const RESETTABLE_PCRS = [16, 23];
const LAST_FIRMWARE_PCR = 7;

/**
 * Verifies a quote from its signature inwards: nothing inside is looked at before the signature holds.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (B17, C18 to C24), or `TPM_DATA_INVALID` for bytes that are no quote
 */
export function verifyQuote(evidence: QuoteEvidence, expected: QuoteExpectation): VerifiedQuote {
  const { ek, ak, pcrs } = expected;
  requireSignedByAk('quote', evidence.quote, evidence.signature, ak);
  const quote = parseQuoteAttest(evidence.quote);
  requireUnderEk('quote', quote.qualifiedSigner, ak, ek);
  requireCheck(
    'C20',
    areEqual(quote.extraData, expected.qualifyingData),
    'the quote was made for another challenge, another CSR key or other TPM keys',
  );
  requireCheck(
    'C24',
    quote.clockInfo.safe,
    'the clock of the TPM is not safe after a power loss: try again in 5 seconds',
  );
  requireCheck(
    'C21',
    isExactlySelected(quote.pcrSelections, pcrs),
    `the quote covers ${describe(quote.pcrSelections)}, asked for was ${describe([pcrs])}`,
  );
  requireCheck(
    'C23',
    !pcrs.indices.some((index) => RESETTABLE_PCRS.includes(index)),
    'PCRs 16 and 23 can be reset by software, so they prove nothing',
  );
  return {
    ...requirePcrs(evidence.pcrValues, quote.pcrDigest, expected),
    clockInfo: quote.clockInfo,
    firmwareVersion: quote.firmwareVersion,
  };
}

function requirePcrs(
  values: readonly Uint8Array[],
  pcrDigest: Uint8Array,
  { ak, pcrs: { bank, indices }, allowUnmeasured }: QuoteExpectation,
): Pick<VerifiedQuote, 'pcrs' | 'isMeasured'> {
  const { size } = TPM_HASHES[bank];
  requireCheck(
    'C22',
    values.length === indices.length && values.every((value) => value.length === size),
    `${values.length} PCR values came with the quote, ${indices.length} of ${size} bytes each are needed`,
  );
  const digest = createHash(ak.hash);
  for (const value of values) {
    digest.update(value);
  }
  requireCheck('C22', areEqual(digest.digest(), pcrDigest), 'the PCR values sent are not the ones that the TPM quoted');
  const pcrs = new Map(indices.map((index, position) => [index, values[position] ?? new Uint8Array(0)]));
  const firmware = [...pcrs].filter(([index]) => index <= LAST_FIRMWARE_PCR);
  const isMeasured = firmware.some(([, value]) => value.some((byte) => byte !== 0));
  requireCheck(
    'C23',
    isMeasured || allowUnmeasured,
    `PCRs 0 to 7 of the ${bank} bank are all zero: no firmware measured into it, choose another "pcr_bank"`,
  );
  return { pcrs, isMeasured };
}

function isExactlySelected(selections: readonly PcrSelection[], { bank, indices }: PcrRequest): boolean {
  const [selection] = selections;
  return (
    selections.length === 1 &&
    selection?.bank === bank &&
    selection.indices.length === indices.length &&
    selection.indices.every((index, position) => index === indices[position])
  );
}

function describe(selections: readonly PcrSelection[]): string {
  return selections.map(({ bank, indices }) => `${bank}:${indices.join(',')}`).join(' and ') || 'no PCR';
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
