import { hash } from 'node:crypto';
import { requireCheck } from '../../x509/require-check.ts';
import { EVENT_TYPE, eventTypeName } from './event-types.ts';
import { measuredData } from './measured-data.ts';
import type { EventLog, LogEvent } from './parse-event-log.ts';
import type { ReplayedBank } from './replay.ts';

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
export function judgeEvents({ events }: EventLog, bank: ReplayedBank): readonly JudgedEvent[] {
  const separators = [...SEPARATORS, ERROR_SEPARATOR].map((data) => hash(bank, data));
  const separated = new Set<number>();
  return events.map((event) => {
    if (event.type === EVENT_TYPE.EV_NO_ACTION) return { event, isAuthenticated: false };
    const digest = Buffer.from(event.digests.get(bank) ?? []).toString('hex');
    const data = measuredData(event);
    const isAuthenticated = data !== undefined && hash(bank, data) === digest;
    const isSeparator = separators.includes(digest);
    const { number, pcr, type } = event;
    if (type !== EVENT_TYPE.EV_SEPARATOR) {
      requireCheck('D30', !isSeparator, `event ${number} is called ${eventTypeName(type)}, and is a separator`);
      return { event, isAuthenticated };
    }
    requireCheck('D30', isSeparator && isAuthenticated, `event ${number} is called a separator, and is none`);
    requireCheck('D30', !separated.has(pcr), `event ${number} is the second separator of PCR ${pcr}`);
    separated.add(pcr);
    return { event, isAuthenticated };
  });
}

/** Whether firmware says by this separator that it failed. */
export function isErrorSeparator({ type, data }: LogEvent): boolean {
  return type === EVENT_TYPE.EV_SEPARATOR && Buffer.compare(data, ERROR_SEPARATOR) === 0;
}
