import { judgeEvents } from '../../tpm/event-log/judge-events.ts';
import { parseEventLog } from '../../tpm/event-log/parse-event-log.ts';
import { replayEventLog, requireReplay } from '../../tpm/event-log/replay.ts';
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
  const received = yield* receiveBootLogs({
    logs,
    bank,
    quote,
    ima: { isPaddedSha1: config.ima_padded_sha1, onEntry: () => {} },
    requireInTime: () => deadline.requireInTime(),
  });
  if (received.eventLog !== undefined) {
    const log = parseEventLog(received.eventLog);
    requireReplay(replayEventLog(log, bank), quote.pcrs);
    judgeEvents(log, bank);
    onProof('event log replays to the quote', { events: String(log.events.length) });
  }
  if (received.ima !== undefined) {
    onProof('IMA log replays to the quote', { entries: String(received.ima.entryCount) });
  }
  return { selectorValues: [] };
}
