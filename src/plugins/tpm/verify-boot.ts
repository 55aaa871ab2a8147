import { readBootFacts } from '../../tpm/boot/read-boot-facts.ts';
import { parseImaLog } from '../../tpm/ima/parse-ima-log.ts';
import { requireBootAggregate, requireImaPrefix } from '../../tpm/ima/replay-ima-log.ts';
import { bootSelectors } from '../../tpm/policy/boot-selectors.ts';
import { judge } from '../../tpm/policy/judge.ts';
import type { VerifiedQuote } from '../../tpm/quote.ts';
import type { AnswerDeadline } from './answer-deadline.ts';
import type { TpmAttestContext, TpmAttestorState } from './attest.ts';
import type { BootLog } from './log-codec.ts';
import { receiveBootLogs } from './measured-boot.ts';

/** What the server wants of a node's logs. */
export function logsOf({ event_log, ima_log }: Pick<TpmAttestorState['config'], 'event_log' | 'ima_log'>): BootLog[] {
  return [...(event_log ? (['event', 'command line'] as const) : []), ...(ima_log ? (['ima'] as const) : [])];
}

export interface VerifyBootOptions {
  readonly logs: readonly BootLog[];
  readonly deadline: AnswerDeadline;
  readonly state: Pick<TpmAttestorState, 'config' | 'slots'>;
  readonly context: Pick<TpmAttestContext, 'signal' | 'onProof'>;
}

/** What a node booted. */
export interface VerifiedBoot {
  readonly selectorValues: readonly string[];
}

const POSITION = 10;

/**
 * Receives the logs of a node whose quote has been verified, and replays them to it.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (D25 to D32, E35 to E39, F42, F43)
 */
export async function* verifyBoot(
  quote: VerifiedQuote,
  { logs, deadline, state: { config, slots }, context: { signal, onProof = () => {} } }: VerifyBootOptions,
): AsyncGenerator<Uint8Array, VerifiedBoot, Uint8Array> {
  using _slot = await slots.take(signal);
  await deadline.begin();
  const bank = config.pcr_bank;
  const { imaLog, ...received } = yield* receiveBootLogs({
    logs,
    imaOffset: 0,
    requireInTime: () => deadline.requireInTime(),
  });
  const facts = readBootFacts({ bank, quoted: new Map([[bank, quote.pcrs]]), ...received });
  if (received.eventLog !== undefined)
    onProof('event log replays to the quote', { bytes: String(received.eventLog.length) });
  if (imaLog !== undefined) {
    const entries = parseImaLog(imaLog);
    requireBootAggregate(entries, (name) => (name === bank ? quote.pcrs : undefined));
    const { entryCount } = requireImaPrefix(entries, quote.pcrs.get(POSITION) ?? new Uint8Array(0), {
      bank,
      isPaddedSha1: config.ima_padded_sha1,
    });
    onProof('IMA log replays to the quote', { entries: String(entryCount) });
  }
  return { selectorValues: bootSelectors(facts, judge([], facts)) };
}
