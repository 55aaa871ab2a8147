import { requireCheck } from '../../x509/require-check.ts';
import { EVENT_TYPE } from '../event-log/event-types.ts';
import type { FirmwareFacts } from './boot-facts.ts';
import { type MeasuredEvents, referenceTo } from './measured-events.ts';

export const FIRMWARE_PCR = 0;

/**
 * The version of the firmware, which the firmware itself measures before it ends: what comes behind the separator is not its word.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (C22, D29)
 */
export function readFirmwareFacts(events: MeasuredEvents): FirmwareFacts {
  const measured = events.of(FIRMWARE_PCR);
  const end = measured.findIndex(({ event }) => event.type === EVENT_TYPE.EV_SEPARATOR);
  const [version, ...more] = measured
    .slice(0, Math.max(end, 0))
    .filter(({ event }) => event.type === EVENT_TYPE.EV_S_CRTM_VERSION);
  requireCheck(
    'D29',
    version?.isAuthenticated === true && more.length === 0,
    'PCR 0 has not one version of the firmware that was measured, before its separator',
  );
  const text = Buffer.from(version.event.data).toString('utf16le').replace(/\0+$/, '');
  requireCheck(
    'D29',
    /^[\x20-\x7e]*$/.test(text),
    `event ${version.event.number} has a version of the firmware that is no text`,
  );
  return { version: text, event: referenceTo(version.event) };
}
