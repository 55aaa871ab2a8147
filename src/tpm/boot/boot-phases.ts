import { hash } from 'node:crypto';
import type { StrongHash } from '../algorithms.ts';

/** Where systemd measures how far the boot has come, behind the sections of a unified kernel image. */
export const PHASE_PCR = 11;
/** In this order; the first two only where there is an initrd. */
const PHASES = ['enter-initrd', 'leave-initrd', 'sysinit', 'ready', 'shutdown', 'final'];
const FIRST_WITHOUT_INITRD = 2;

/**
 * Finds what systemd added to PCR 11 after the log of the firmware ended: it keeps a log of its own, and says known words only.
 *
 * @param before as the log gives the PCR
 * @returns undefined where no beginning of the known words gives the value
 * @see systemd-pcrphase.service(8)
 */
export function findPhases(bank: StrongHash, before: Uint8Array, value: Uint8Array): readonly string[] | undefined {
  for (const first of [0, FIRST_WITHOUT_INITRD]) {
    let pcr = Buffer.from(before);
    for (let end = first; end < PHASES.length; end++) {
      pcr = hash(bank, Buffer.concat([pcr, hash(bank, PHASES[end] ?? '', 'buffer')]), 'buffer');
      if (pcr.equals(value)) return PHASES.slice(first, end + 1);
    }
  }
  return undefined;
}
