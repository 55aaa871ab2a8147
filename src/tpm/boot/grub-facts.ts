import { requireCheck } from '../../x509/require-check.ts';
import type { GrubFacts } from './boot-facts.ts';
import { findEfiStubEvent, GRUB_PCR, KERNEL_PCR, readGrubTexts } from './command-line.ts';
import { isSeparator, type MeasuredEvents, referenceTo } from './measured-events.ts';

export const GRUB_PCRS: readonly number[] = [GRUB_PCR, KERNEL_PCR];

/** @throws SpiffeError `ATTESTATION_DENIED` (C22, D29 where something of PCR 8 is no text that was measured) */
export function readGrubFacts(events: MeasuredEvents): GrubFacts {
  const commandLine = findEfiStubEvent(events);
  return {
    commands: readGrubTexts(events).map(({ judged: { event }, text }) => {
      if (text === undefined)
        requireCheck('D29', false, `event ${event.number} of PCR 8 has text that was not measured`);
      return { text: text.text, event: referenceTo(event) };
    }),
    files: events
      .of(KERNEL_PCR)
      .filter((judged) => !isSeparator(judged) && judged !== commandLine)
      .map(({ event }) => events.toDigest(event)),
  };
}
