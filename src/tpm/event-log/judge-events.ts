import { hash } from 'node:crypto';
import { requireCheck } from '../../x509/require-check.ts';
import type { ReplayedBank } from '../extended-pcr.ts';
import { runSlices, type Sliced } from '../slices.ts';
import { digestText } from './event-digests.ts';
import { EVENT_TYPE, eventTypeName } from './event-types.ts';
import { measuredData } from './measured-data.ts';
import { EVENTS_A_SLICE, type EventLog, type LogEvent } from './parse-event-log.ts';

export interface JudgedEvent {
  readonly event: LogEvent;
  /** Whether the digest is of the data, so that what the data says was measured. Otherwise only the digest counts. */
  readonly isAuthenticated: boolean;
}

const SEPARATORS = [Buffer.alloc(4, 0x00), Buffer.alloc(4, 0xff)];
/** Firmware that failed: PC Client Platform Firmware Profile, §10.4.1, EV_SEPARATOR. */
const ERROR_SEPARATOR = Buffer.from([1, 0, 0, 0]);

/**
 * Tells of each event how far it can be believed, once the log's replay has its digests authenticated.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (D30) for a separator that is called something else, is called one without being
 *   one, or is the second of its PCR
 */
export function judgeEvents(log: EventLog, bank: ReplayedBank): readonly JudgedEvent[] {
  return runSlices(judgeEventsInSlices(log, bank));
}

/** The same, in slices. */
export function* judgeEventsInSlices({ events }: EventLog, bank: ReplayedBank): Sliced<readonly JudgedEvent[]> {
  const separators = [...SEPARATORS, ERROR_SEPARATOR].map((data) => hash(bank, data, 'binary'));
  const separated = new Set<number>();
  const judged: JudgedEvent[] = [];
  for (const event of events) {
    if (judged.length % EVENTS_A_SLICE === EVENTS_A_SLICE - 1) yield;
    judged.push({ event, isAuthenticated: isAuthenticated(event, bank, separators, separated) });
  }
  return judged;
}

/** @param separators their digests @param separated PCRs that have one; grows */
function isAuthenticated(
  event: LogEvent,
  bank: ReplayedBank,
  separators: readonly string[],
  separated: Set<number>,
): boolean {
  const { number, pcr, type } = event;
  if (type === EVENT_TYPE.EV_NO_ACTION) return false;
  const digest = digestText(event.digests, bank);
  const data = measuredData(event);
  const isOfData = data !== undefined && hash(bank, data, 'binary') === digest;
  const isSeparator = separators.includes(digest);
  if (type !== EVENT_TYPE.EV_SEPARATOR) {
    if (isSeparator) requireCheck('D30', false, `event ${number} is called ${eventTypeName(type)}, and is a separator`);
    return isOfData;
  }
  requireCheck('D30', isSeparator && isOfData, `event ${number} is called a separator, and is none`);
  requireCheck('D30', !separated.has(pcr), `event ${number} is the second separator of PCR ${pcr}`);
  separated.add(pcr);
  return true;
}

/** Whether firmware says by this separator that it failed. */
export function isErrorSeparator({ type, data }: LogEvent): boolean {
  return type === EVENT_TYPE.EV_SEPARATOR && Buffer.compare(data, ERROR_SEPARATOR) === 0;
}
