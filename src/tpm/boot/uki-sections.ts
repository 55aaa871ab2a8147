import { createHash } from 'node:crypto';
import { requireCheck } from '../../x509/require-check.ts';
import type { MeasuredDigest } from './boot-facts.ts';
import { isSeparator, type MeasuredEvents } from './measured-events.ts';

const SECTION_PCR = 11;
/** In the order in which systemd-stub measures them; `.pcrsig` it does not. */
const SECTIONS = [
  '.linux',
  '.osrel',
  '.cmdline',
  '.initrd',
  '.ucode',
  '.splash',
  '.dtb',
  '.uname',
  '.sbat',
  '.pcrpkey',
  '.profile',
  '.dtbauto',
  '.hwids',
  '.efifw',
];

/**
 * The sections of a unified kernel image, each measured as its name and then its contents; none where no such image was started.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (C22, D34)
 * @see systemd-stub(7)
 */
export function readSections(events: MeasuredEvents): ReadonlyMap<string, MeasuredDigest> {
  const names = SECTIONS.map((name) => createHash(events.bank).update(`${name}\0`).digest('hex'));
  const measured = events.of(SECTION_PCR).filter((judged) => !isSeparator(judged));
  const sections = new Map<string, MeasuredDigest>();
  let last = -1;
  for (let position = 0; position < measured.length; position += 2) {
    const [name, contents] = [measured[position], measured[position + 1]];
    if (name === undefined) break;
    const index = names.indexOf(events.digestOf(name.event));
    requireCheck('D34', index >= 0, `event ${name.event.number} of PCR 11 is not the name of a section`);
    requireCheck(
      'D34',
      index > last,
      `event ${name.event.number} of PCR 11 is the section ${SECTIONS[index]}, a second time or behind one that follows it`,
    );
    requireCheck('D34', contents !== undefined, `event ${name.event.number} of PCR 11 is a section without contents`);
    last = index;
    sections.set(SECTIONS[index] ?? '', events.toDigest(contents.event));
  }
  return sections;
}
