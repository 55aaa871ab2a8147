import { requireCheck } from '../../x509/require-check.ts';
import { TPM_HASHES } from '../algorithms.ts';
import { beginsWith } from '../begins-with.ts';
import { ExtendedPcr, type ReplayedBank } from '../extended-pcr.ts';
import { runSlices, type Sliced } from '../slices.ts';
import { digestText } from './event-digests.ts';
import { EVENT_TYPE } from './event-types.ts';
import { EVENTS_A_SLICE, type EventLog, type LogEvent } from './parse-event-log.ts';

export type { ReplayedBank };

/** What the PCRs of a bank hold if the log is true. */
export interface ReplayedPcr {
  readonly value: Uint8Array;
  /** How many events extended it. */
  readonly eventCount: number;
}

/** PCRs that firmware and boot loaders measure into, and nothing else does. PCR 10 is IMA's; from 16 on, whoever likes extends. */
export const BOOT_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15];
const PCR_COUNT = 24;
/** Of a dynamic launch: all ones until that happens. PC Client Platform TPM Profile, §4.6. */
const DYNAMIC_PCRS = [17, 18, 19, 20, 21, 22];
const STARTUP_LOCALITY = Buffer.from('StartupLocality\0', 'latin1');
const LOCALITIES = [0, 3, 4];

/**
 * Extends every event of a log, from the values that a TPM starts with.
 *
 * @returns all 24 PCRs, by index.
 * @throws SpiffeError `ATTESTATION_DENIED` (D27) for a startup locality out of place, (D25) for a bank that the log has not
 */
export function replayEventLog(log: EventLog, bank: ReplayedBank): readonly ReplayedPcr[] {
  return runSlices(replayEventLogInSlices(log, bank));
}

/** The same, in slices. */
export function* replayEventLogInSlices(log: EventLog, bank: ReplayedBank): Sliced<readonly ReplayedPcr[]> {
  requireCheck('D25', log.banks.includes(bank), `the event log has no digests by ${bank}`);
  const pcrs = Array.from({ length: PCR_COUNT }, (_, index) => startOf(bank, index));
  let isLocalityKnown = false;
  for (const [position, event] of log.events.entries()) {
    if (position % EVENTS_A_SLICE === EVENTS_A_SLICE - 1) yield;
    const pcr = pcrs[event.pcr];
    if (event.type === EVENT_TYPE.EV_NO_ACTION) {
      if (!beginsWith(event.data, STARTUP_LOCALITY)) continue;
      const isFirst = !isLocalityKnown && event.pcr === 0 && pcrs[0]?.eventCount === 0;
      requireCheck('D27', isFirst, `event ${event.number} gives the startup locality where it has no place`);
      isLocalityKnown = true;
      pcrs[0] = startOf(bank, 0, localityOf(event));
    } else if (pcr !== undefined) {
      pcr.extended.extend(digestText(event.digests, bank));
      pcr.eventCount += 1;
    }
  }
  return pcrs.map(({ extended, eventCount }) => ({ value: extended.bytes, eventCount }));
}

function startOf(
  bank: ReplayedBank,
  index: number,
  locality = 0,
): { readonly extended: ExtendedPcr; eventCount: number } {
  const value = new Uint8Array(TPM_HASHES[bank].size).fill(DYNAMIC_PCRS.includes(index) ? 0xff : 0);
  if (locality !== 0) value[value.length - 1] = locality;
  return { extended: new ExtendedPcr(bank, value), eventCount: 0 };
}

/**
 * A log gives the values that a TPM has, for those of {@link BOOT_PCRS} that are known.
 *
 * @param values by index, of one bank: authenticated by a quote, or what an operator read
 * @throws SpiffeError `ATTESTATION_DENIED` (D28) which names the PCR
 */
export function requireReplay(replayed: readonly ReplayedPcr[], values: ReadonlyMap<number, Uint8Array>): void {
  for (const index of BOOT_PCRS) {
    const [value, pcr] = [values.get(index), replayed[index]];
    if (value === undefined || pcr === undefined) continue;
    const given = pcr.eventCount === 0 ? 'has no event for it' : `gives ${hex(pcr.value)} by ${pcr.eventCount} events`;
    requireCheck(
      'D28',
      Buffer.compare(value, pcr.value) === 0,
      `PCR ${index} is ${hex(value)}, but the event log ${given}`,
    );
  }
}

function localityOf({ number, data }: LogEvent): number {
  const [locality = -1, ...more] = data.subarray(STARTUP_LOCALITY.length);
  requireCheck(
    'D27',
    LOCALITIES.includes(locality) && more.length === 0,
    `event ${number} gives a startup locality that is none of ${LOCALITIES.join(', ')}`,
  );
  return locality;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

export function isReplayedBank(name: string): name is ReplayedBank {
  return name in TPM_HASHES && name !== 'sm3';
}
