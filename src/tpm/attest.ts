import { requireCheck } from '../x509/require-check.ts';
import { encodePcrSelections, type PcrSelection, readPcrSelections } from './pcr-selection.ts';
import { TpmReader } from './tpm-reader.ts';
import { concat, sized, u8, u16, u32, u64 } from './tpm-writer.ts';

/** TPMS_CLOCK_INFO: Part 2, §10.11.1. */
export interface ClockInfo {
  /** Milliseconds that the TPM was powered. */
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  /** False after an unorderly power loss, until `clock` has passed every value reported before. */
  readonly safe: boolean;
}

/** TPMS_ATTEST with TPMS_QUOTE_INFO: Part 2, §10.12.8 and §10.12.1. */
export interface QuoteAttest {
  readonly qualifiedSigner: Uint8Array;
  readonly extraData: Uint8Array;
  readonly clockInfo: ClockInfo;
  /** Major in the upper, minor in the lower 32 bits. */
  readonly firmwareVersion: bigint;
  readonly pcrSelections: readonly PcrSelection[];
  readonly pcrDigest: Uint8Array;
}

/** TPM_GENERATED_VALUE: 0xff and "TCG"; a restricted key never signs foreign bytes that begin so. */
const TPM_GENERATED = 0xff544347;
const TPM_ST_ATTEST_QUOTE = 0x8018;
const MAX_NAME_BYTES = 66;
const MAX_DATA_BYTES = 66;
const MAX_DIGEST_BYTES = 64;

/**
 * Reads a TPMS_ATTEST that has to be a quote.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (C19), or `TPM_DATA_INVALID` when it is cut off
 */
export function parseQuoteAttest(bytes: Uint8Array): QuoteAttest {
  const reader = new TpmReader(bytes, 'TPMS_ATTEST');
  const magic = reader.u32();
  requireCheck('C19', magic === TPM_GENERATED, `the quote begins with 0x${magic.toString(16)}: no TPM generated it`);
  const type = reader.u16();
  requireCheck(
    'C19',
    type === TPM_ST_ATTEST_QUOTE,
    `the signed structure is of type 0x${type.toString(16)}, not a quote`,
  );
  const qualifiedSigner = reader.sized(MAX_NAME_BYTES);
  const extraData = reader.sized(MAX_DATA_BYTES);
  const clock = reader.u64();
  const resetCount = reader.u32();
  const restartCount = reader.u32();
  const safe = reader.u8();
  requireCheck('C19', safe <= 1, `clockInfo.safe is ${safe} in the quote, 0 or 1 are allowed`);
  const firmwareVersion = reader.u64();
  const pcrSelections = readPcrSelections(reader);
  const pcrDigest = reader.sized(MAX_DIGEST_BYTES);
  requireCheck('C19', reader.remaining === 0, `${reader.remaining} bytes follow the quote inside the signed bytes`);
  return {
    qualifiedSigner,
    extraData,
    clockInfo: { clock, resetCount, restartCount, safe: safe === 1 },
    firmwareVersion,
    pcrSelections,
    pcrDigest,
  };
}

/** The inverse of {@link parseQuoteAttest}. */
export function encodeQuoteAttest(quote: QuoteAttest): Uint8Array {
  return concat(
    u32(TPM_GENERATED),
    u16(TPM_ST_ATTEST_QUOTE),
    sized(quote.qualifiedSigner),
    sized(quote.extraData),
    u64(quote.clockInfo.clock),
    u32(quote.clockInfo.resetCount),
    u32(quote.clockInfo.restartCount),
    u8(quote.clockInfo.safe ? 1 : 0),
    u64(quote.firmwareVersion),
    encodePcrSelections(quote.pcrSelections),
    sized(quote.pcrDigest),
  );
}
