import { requireCheck } from '../../x509/require-check.ts';
import type { UkiFacts } from './boot-facts.ts';
import { readSystemdStub } from './command-line.ts';
import { isSeparator, type MeasuredEvents } from './measured-events.ts';
import { readSections } from './uki-sections.ts';

export const UKI_PCRS: readonly number[] = [11, 12, 13];
const EXTENSION_PCR = 13;

/** @throws SpiffeError `ATTESTATION_DENIED` (C22, D34) */
export function readUkiFacts(events: MeasuredEvents): UkiFacts {
  const sections = readSections(events);
  requireCheck('D34', sections.size > 0, 'PCR 11 has no section of a unified kernel image');
  const extensions = events.of(EXTENSION_PCR).filter((judged) => !isSeparator(judged));
  return {
    sections,
    extensions: [...readSystemdStub(events).unread, ...extensions.map(({ event }) => events.toDigest(event))],
    phases: events.phases,
  };
}
