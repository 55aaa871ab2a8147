import { SpiffeError } from '../../spiffe/error.ts';
import { requireCheck } from '../../x509/require-check.ts';
import type { StrongHash } from '../algorithms.ts';
import { type AttestationKey, requireAttestationKey } from '../attestation-key.ts';
import type { BootEvidence } from '../boot/read-boot-facts.ts';
import { type EndorsementKey, requireEndorsementKey } from '../endorsement-key.ts';
import { type VerifiedQuote, verifyQuote } from '../quote.ts';
import type { RecordedEvidence } from './recorded-evidence.ts';

export interface EvidenceOptions {
  /** That was asked for; undefined where the file's own is taken at its word. */
  readonly nonce?: Uint8Array | undefined;
}

/** Evidence whose quotes hold. */
export interface VerifiedEvidence {
  readonly ek: EndorsementKey;
  readonly ak: AttestationKey;
  readonly quotes: ReadonlyMap<StrongHash, VerifiedQuote>;
}

/**
 * Verifies keys and quotes: that one attestation key signed every quote, for this nonce, and that the values are of these.
 * That the attestation key is in the TPM of the endorsement key is not proven: only a live exchange (TPM2_ActivateCredential)
 * does that, so whoever recorded the file is believed for it.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (A6, A7, B12 to B14, B17, C18 to C24), `TPM_DATA_INVALID`
 */
export function verifyEvidence(evidence: RecordedEvidence, { nonce }: EvidenceOptions = {}): VerifiedEvidence {
  const ek = requireEndorsementKey(evidence.ekPublic);
  const ak = requireAttestationKey(evidence.akPublic);
  requireCheck(
    'C20',
    nonce === undefined || Buffer.compare(nonce, evidence.nonce) === 0,
    'the evidence was recorded for another nonce than the one that was asked for',
  );
  const quotes = evidence.quotes.map(({ bank, pcrs, quote, signature }) => {
    const verified = verifyQuote(
      { quote, signature, pcrValues: [...pcrs.values()] },
      {
        ...{ ek, ak, qualifyingData: evidence.nonce },
        pcrs: { bank, indices: [...pcrs.keys()] },
        allowUnmeasured: true,
      },
    );
    return [bank, verified] as const;
  });
  return { ek, ak, quotes: new Map(quotes) };
}

export interface BelievedBank {
  /** SHA-256 where it was quoted, else the first, by default. */
  readonly bank?: StrongHash | undefined;
  readonly allowPaddedSha1?: boolean | undefined;
}

/**
 * What a boot is read out of.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` for a bank that was not quoted
 */
export function bootEvidenceOf(
  { eventLog, imaLog, commandLine }: RecordedEvidence,
  { quotes }: VerifiedEvidence,
  { bank, allowPaddedSha1 }: BelievedBank = {},
): BootEvidence {
  const [first = 'sha256'] = quotes.keys();
  const believed = bank ?? (quotes.has('sha256') ? 'sha256' : first);
  if (!quotes.has(believed)) {
    const had = [...quotes.keys()].join(', ');
    throw new SpiffeError('ARGUMENT_INVALID', `the evidence has no quote of bank ${believed}, it has ${had}`);
  }
  return {
    bank: believed,
    quoted: new Map([...quotes].map(([name, { pcrs }]) => [name, pcrs])),
    eventLog,
    commandLineHint: commandLine,
    ima: imaLog && { log: imaLog, allowPaddedSha1 },
  };
}
