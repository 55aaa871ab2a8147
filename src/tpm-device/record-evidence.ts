import type { AkTemplateName } from '../tpm/ak-templates.ts';
import type { StrongHash } from '../tpm/algorithms.ts';
import type { RecordedEvidence, RecordedQuote } from '../tpm/evidence/recorded-evidence.ts';
import { AttestationKeys } from './attestation-keys.ts';
import type { TpmDevice } from './device.ts';
import type { EkAlgorithm } from './endorsement.ts';
import { quotePcrs, requirePcrs } from './quote-pcrs.ts';

export interface QuoteRequest {
  readonly ek: EkAlgorithm;
  readonly ak: AkTemplateName;
  readonly endorsementAuthPath?: string | undefined;
  readonly nonce: Uint8Array;
  readonly banks: readonly StrongHash[];
  /** Ascending. */
  readonly pcrs: readonly number[];
}

/**
 * Quotes with an attestation key that is made for this, under the endorsement key.
 *
 * @throws SpiffeError `TPM_UNAVAILABLE`
 */
export async function recordQuotes(
  tpm: TpmDevice,
  { nonce, banks, pcrs: indices, ...keys }: QuoteRequest,
): Promise<Omit<RecordedEvidence, 'eventLog' | 'imaLog' | 'commandLine'>> {
  await using loaded = await AttestationKeys.load(tpm, keys);
  const { ek, ak } = loaded;
  const quotes: RecordedQuote[] = [];
  for (const bank of banks) {
    await requirePcrs(tpm, { bank, indices });
    const { quote, signature, pcrValues } = await quotePcrs(tpm, ak, nonce, { bank, indices });
    const values = indices.map((index, position) => [index, pcrValues[position] ?? new Uint8Array(0)] as const);
    quotes.push({ bank, pcrs: new Map(values), quote, signature });
  }
  return {
    recordedAt: new Date(),
    ekPublic: ek.key.publicBytes,
    ekCertificates: ek.certificates,
    akPublic: ak.publicBytes,
    nonce,
    quotes,
  };
}
