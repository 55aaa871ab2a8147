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

/** What every TPMS_ATTEST says besides its subject: Part 2, §10.12.8. */
export interface AttestHeader {
  readonly qualifiedSigner: Uint8Array;
  readonly extraData: Uint8Array;
  readonly clockInfo: ClockInfo;
  /** Major in the upper, minor in the lower 32 bits. */
  readonly firmwareVersion: bigint;
}

/** With TPMS_QUOTE_INFO: Part 2, §10.12.1. */
export interface QuoteAttest extends AttestHeader {
  readonly pcrSelections: readonly PcrSelection[];
  readonly pcrDigest: Uint8Array;
}

/** With TPMS_CERTIFY_INFO: Part 2, §10.12.3. */
export interface CertifyAttest extends AttestHeader {
  /** Of the key that was certified. */
  readonly name: Uint8Array;
  readonly qualifiedName: Uint8Array;
}

/** TPM_GENERATED_VALUE: 0xff and "TCG"; a restricted key never signs foreign bytes that begin so. */
const TPM_GENERATED = 0xff544347;
/** TPM_ST_ATTEST_…: Part 2, §6.9. */
const KINDS = {
  quote: { type: 0x8018, what: 'a quote' },
  certification: { type: 0x8017, what: 'a certification' },
} as const;
type AttestKind = keyof typeof KINDS;
const MAX_NAME_BYTES = 66;
const MAX_DATA_BYTES = 66;
const MAX_DIGEST_BYTES = 64;

/**
 * Reads a TPMS_ATTEST that has to be a quote.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (C19), or `TPM_DATA_INVALID` when it is cut off
 */
export function parseQuoteAttest(bytes: Uint8Array): QuoteAttest {
  return parseAttest(bytes, 'quote', (reader) => ({
    pcrSelections: readPcrSelections(reader),
    pcrDigest: reader.sized(MAX_DIGEST_BYTES),
  }));
}

/** The inverse of {@link parseQuoteAttest}. */
export function encodeQuoteAttest(quote: QuoteAttest): Uint8Array {
  return concat(encodeHeader('quote', quote), encodePcrSelections(quote.pcrSelections), sized(quote.pcrDigest));
}

/** Reads a TPMS_ATTEST that has to certify a key; otherwise as {@link parseQuoteAttest}. */
export function parseCertifyAttest(bytes: Uint8Array): CertifyAttest {
  return parseAttest(bytes, 'certification', (reader) => ({
    name: reader.sized(MAX_NAME_BYTES),
    qualifiedName: reader.sized(MAX_NAME_BYTES),
  }));
}

/** The inverse of {@link parseCertifyAttest}. */
export function encodeCertifyAttest(certification: CertifyAttest): Uint8Array {
  const { name, qualifiedName } = certification;
  return concat(encodeHeader('certification', certification), sized(name), sized(qualifiedName));
}

function parseAttest<Subject extends object>(
  bytes: Uint8Array,
  kind: AttestKind,
  readSubject: (reader: TpmReader) => Subject,
): AttestHeader & Subject {
  const reader = new TpmReader(bytes, 'TPMS_ATTEST');
  const magic = reader.u32();
  requireCheck('C19', magic === TPM_GENERATED, `the ${kind} begins with 0x${magic.toString(16)}: no TPM generated it`);
  const type = reader.u16();
  requireCheck(
    'C19',
    type === KINDS[kind].type,
    `the signed structure is of type 0x${type.toString(16)}, not ${KINDS[kind].what}`,
  );
  const qualifiedSigner = reader.sized(MAX_NAME_BYTES);
  const extraData = reader.sized(MAX_DATA_BYTES);
  const clock = reader.u64();
  const resetCount = reader.u32();
  const restartCount = reader.u32();
  const safe = reader.u8();
  requireCheck('C19', safe <= 1, `clockInfo.safe is ${safe} in the ${kind}, 0 or 1 are allowed`);
  const firmwareVersion = reader.u64();
  const subject = readSubject(reader);
  requireCheck('C19', reader.remaining === 0, `${reader.remaining} bytes follow the ${kind} inside the signed bytes`);
  return {
    qualifiedSigner,
    extraData,
    clockInfo: { clock, resetCount, restartCount, safe: safe === 1 },
    firmwareVersion,
    ...subject,
  };
}

function encodeHeader(kind: AttestKind, header: AttestHeader): Uint8Array {
  return concat(
    u32(TPM_GENERATED),
    u16(KINDS[kind].type),
    sized(header.qualifiedSigner),
    sized(header.extraData),
    u64(header.clockInfo.clock),
    u32(header.clockInfo.resetCount),
    u32(header.clockInfo.restartCount),
    u8(header.clockInfo.safe ? 1 : 0),
    u64(header.firmwareVersion),
  );
}
