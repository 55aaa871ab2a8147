import { createHash } from 'node:crypto';
import { SpiffeError } from '../spiffe/error.ts';
import { parseQuoteAttest } from '../tpm/attest.ts';
import type { PcrRequest } from '../tpm/pcr-selection.ts';
import type { TpmDevice, TpmKey } from './device.ts';

/** A PCR may be extended between a quote and the reading of its values. */
const MAX_QUOTES = 5;

export interface QuotedPcrs {
  /** TPMS_ATTEST. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  /** In the order of the request. */
  readonly pcrValues: readonly Uint8Array[];
}

/**
 * A quote, and the values that it is of.
 *
 * @throws SpiffeError `TPM_UNAVAILABLE`, also where a PCR never rests
 */
export async function quotePcrs(
  tpm: TpmDevice,
  ak: TpmKey,
  binding: Uint8Array,
  pcrs: PcrRequest,
): Promise<QuotedPcrs> {
  for (let attempt = 0; attempt < MAX_QUOTES; attempt++) {
    const { attest, signature } = await tpm.quote(ak, binding, pcrs);
    const pcrValues = await tpm.readPcrs(pcrs);
    const digest = createHash('sha256').update(Buffer.concat(pcrValues)).digest();
    if (digest.equals(parseQuoteAttest(attest).pcrDigest)) return { quote: attest, signature, pcrValues };
  }
  throw new SpiffeError(
    'TPM_UNAVAILABLE',
    `PCRs ${pcrs.indices.join(', ')} changed during each of ${MAX_QUOTES} quotes: leave out those that programs extend`,
  );
}

/** @throws SpiffeError `TPM_UNAVAILABLE` where the TPM has not allocated them all */
export async function requirePcrs(tpm: TpmDevice, { bank, indices }: PcrRequest): Promise<void> {
  const banks = await tpm.readPcrBanks();
  const has = banks.find((selection) => selection.bank === bank)?.indices ?? [];
  const missing = indices.filter((index) => !has.includes(index));
  if (missing.length === 0) return;
  throw new SpiffeError(
    'TPM_UNAVAILABLE',
    `the server asks for PCRs ${missing.join(', ')} of the ${bank} bank, but this TPM has allocated ` +
      `${banks.map((selection) => selection.bank).join(', ') || 'no bank'}: allocate it with tpm2_pcrallocate, or ask for another`,
  );
}
