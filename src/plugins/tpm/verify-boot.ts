import { setImmediate as nextTurn } from 'node:timers/promises';
import { refusalWith } from '../../plugin-sdk/index.ts';
import { isSpiffeError, type SpiffeError } from '../../spiffe/error.ts';
import { type BootFacts, isKnown } from '../../tpm/boot/boot-facts.ts';
import { readBootFactsInSlices } from '../../tpm/boot/read-boot-facts.ts';
import type { RememberedEventLog } from '../../tpm/boot/remembered-event-logs.ts';
import type { BootPolicy } from '../../tpm/policy/boot-policy.ts';
import { bootSelectors } from '../../tpm/policy/boot-selectors.ts';
import { judgeInSlices, nextImaCheckpoint, REFUSAL_FOR_PEER, type Verdict } from '../../tpm/policy/judge.ts';
import { policyDigest } from '../../tpm/policy/policy-digest.ts';
import type { VerifiedQuote } from '../../tpm/quote.ts';
import type { AnswerDeadline } from '../../tpm-trust/answer-deadline.ts';
import { requireCheck } from '../../x509/require-check.ts';
import type { TpmAttestContext, TpmAttestorState } from './attest.ts';
import { type EkState, type ImaProgress, isSameBoot } from './ek-state.ts';
import type { BootLog } from './log-codec.ts';
import { receiveBootLogs } from './measured-boot.ts';

/** What the server wants of a node's logs: what the configuration asks for, and what policies have rules on. */
export function logsOf({ config, policies }: Pick<TpmAttestorState, 'config' | 'policies'>): readonly BootLog[] {
  const wantsEvents = config.event_log || policies.list.length > 0;
  const wantsIma = config.ima_log || policies.list.some(({ ima }) => ima !== undefined);
  return [...(wantsEvents ? (['event', 'command line'] as const) : []), ...(wantsIma ? (['ima'] as const) : [])];
}

export interface VerifyBootOptions {
  readonly logs: readonly BootLog[];
  /** What is remembered of the TPM. */
  readonly last: EkState | undefined;
  /** Of the verified EK certificate. */
  readonly ekManufacturer: string | undefined;
  /** What the event log of this TPM's machine said before. */
  readonly remembered: RememberedEventLog;
  readonly deadline: AnswerDeadline;
  readonly state: Pick<TpmAttestorState, 'config' | 'slots' | 'policies'>;
  readonly context: Pick<TpmAttestContext, 'signal' | 'onProof'>;
}

/** What a node booted. */
export interface VerifiedBoot {
  readonly selectorValues: readonly string[];
  readonly ima: ImaProgress | undefined;
  /** Where no policy holds. */
  readonly refusal: SpiffeError | undefined;
}

/**
 * Receives the logs of a node whose quote has been verified, replays them to it, and judges them.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (D25 to D32, E35 to E39, F42, F43), which says to the operator what was found
 */
export async function* verifyBoot(
  quote: VerifiedQuote,
  options: VerifyBootOptions,
): AsyncGenerator<Uint8Array, VerifiedBoot, Uint8Array> {
  try {
    return yield* receiveAndJudge(quote, options);
  } catch (error) {
    throw isSpiffeError(error, 'ATTESTATION_DENIED') ? shortRefusal(error) : error;
  }
}

async function* receiveAndJudge(
  quote: VerifiedQuote,
  { logs, last, ekManufacturer, remembered, deadline, state: { config, slots, policies }, context }: VerifyBootOptions,
): AsyncGenerator<Uint8Array, VerifiedBoot, Uint8Array> {
  const { signal, onProof = () => {} } = context;
  using _slot = await slots.take(signal);
  await deadline.begin();
  const bank = config.pcr_bank;
  const ongoing = last !== undefined && isSameBoot(last, quote.clockInfo) ? last.ima : undefined;
  const known = ongoing?.bank === bank ? ongoing : undefined;
  const after = known && mayGoOn(known, policies.list) ? known : undefined;
  const { imaLog, ...received } = yield* receiveBootLogs({
    logs,
    imaOffset: after?.byteCount ?? 0,
    requireInTime: () => deadline.requireInTime(),
  });
  requireCheck(
    'E39',
    imaLog !== undefined || known === undefined || !logs.includes('ima'),
    'the node had an IMA log earlier in this boot, and has none now',
  );
  const allowPaddedSha1 = config.ima_padded_sha1 || policies.list.some(({ ima }) => ima?.allow_padded_sha1 === true);
  const evidence = {
    bank,
    quoted: new Map([[bank, quote.pcrs]]),
    ...received,
    remembered,
    ...(imaLog && { ima: { log: imaLog, after, atLeast: known?.entryCount ?? 0, allowPaddedSha1 } }),
  };
  const facts = await inSlices(readBootFactsInSlices(evidence), signal);
  onProof('logs replay to the quote', {
    event_log_bytes: received.eventLog && String(received.eventLog.length),
    ima_entries: isKnown(facts.ima) ? String(facts.ima.entryCount) : undefined,
    ima_entries_read: isKnown(facts.ima) ? String(facts.ima.entryCount - (after?.entryCount ?? 0)) : undefined,
  });
  const bootSeenSeconds = last?.resetCount === quote.clockInfo.resetCount ? ageOf(last, quote) : undefined;
  const verdict = await inSlices(judgeInSlices(policies.list, facts, { ekManufacturer, bootSeenSeconds }), signal);
  const isJudged = policies.list.length > 0;
  const isRefused = isJudged && !verdict.isMet;
  return {
    selectorValues: [
      ...bootSelectors(facts, verdict),
      ...(isJudged && policies.version !== undefined ? [`policy_version:${policies.version}`] : []),
    ],
    ima: imaLog && progressOf({ facts, verdict, after, bank }),
    refusal: isRefused && !policies.admitsOthers ? refusalOf(verdict) : undefined,
  };
}

/** The whole log is read again where a policy was not judged by what came before, or did not hold for it. */
function mayGoOn({ allowedBy }: ImaProgress, policies: readonly BootPolicy[]): boolean {
  return policies.every((policy) => policy.ima === undefined || allowedBy.includes(policyDigest(policy)));
}

function ageOf({ bootSeenAt }: EkState, { clockInfo }: VerifiedQuote): number {
  return Number(clockInfo.clock - bootSeenAt) / 1000;
}

interface ProgressInputs {
  readonly facts: BootFacts;
  readonly verdict: Verdict;
  readonly after: ImaProgress | undefined;
  readonly bank: string;
}

function progressOf({ facts, verdict, after, bank }: ProgressInputs): ImaProgress | undefined {
  const checkpoint = nextImaCheckpoint(facts, verdict);
  if (checkpoint === undefined || !isKnown(facts.ima)) return undefined;
  return { ...checkpoint, bank, byteCount: (after?.byteCount ?? 0) + facts.ima.byteCount };
}

/** Runs long work with turns of the event loop in between. */
async function inSlices<T>(work: Generator<void, T>, signal: AbortSignal | undefined): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
    await nextTurn();
    signal?.throwIfAborted();
  }
}

function refusalOf(verdict: Verdict): SpiffeError | undefined {
  if (verdict.isMet) return undefined;
  const reason = verdict.refusals.map(({ policy, message }) => `policy "${policy}": ${message}`).join('; ');
  return refusalWith('ATTESTATION_DENIED', REFUSAL_FOR_PEER, reason);
}

/** Whoever is refused learns the number of the check. What was found where is for the operator. */
function shortRefusal(error: SpiffeError): SpiffeError {
  const check = / \(check [A-Z]\d+\)$/.exec(error.message)?.[0] ?? '';
  return refusalWith(error.code, `what the node booted is not proven${check}`, error.message, { cause: error });
}
