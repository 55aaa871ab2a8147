import type { BootFacts, MeasuredDigest, UkiFacts } from '../../boot/boot-facts.ts';
import type { BootPolicy, UkiImage, UkiRule } from '../boot-policy.ts';
import { patternMatcher } from '../pattern.ts';
import { oneOf, oneOfTexts, requireKnown } from '../require-known.ts';
import { requireRule } from '../require-rule.ts';

/** @throws SpiffeError `ATTESTATION_DENIED` (C22, P8) */
export function requireLoaders(allowed: NonNullable<BootPolicy['loaders']>, facts: BootFacts): void {
  const subject = 'an image that ran before the operating system';
  const { images } = requireKnown(subject, 'known', facts.loaders);
  for (const image of images) {
    if (!isListed(allowed, image)) requireRule('P8', false, { subject, ...differenceOf(allowed, image) });
  }
}

/** @throws SpiffeError `ATTESTATION_DENIED` (C22, P9) */
export function requireGrubCommands(patterns: readonly string[], facts: BootFacts): void {
  const subject = 'a command of GRUB';
  const { commands } = requireKnown(subject, 'known', facts.grub);
  const isMatched = patternMatcher(patterns);
  const wanted = oneOfTexts(patterns);
  for (const { text, event } of commands) {
    if (!isMatched(text)) requireRule('P9', false, { subject, found: JSON.stringify(text), wanted, event });
  }
}

/** @throws SpiffeError `ATTESTATION_DENIED` (C22, P10) */
export function requireBootFiles(allowed: readonly string[], facts: BootFacts): void {
  const subject = 'a file of the boot loader';
  const { files } = requireKnown(subject, 'known', facts.grub);
  for (const file of files) {
    if (!isListed(allowed, file)) requireRule('P10', false, { subject, ...differenceOf(allowed, file) });
  }
}

/** @throws SpiffeError `ATTESTATION_DENIED` (C22, P11 for sections, D34 for what comes besides) */
export function requireUki({ images, extensions = [] }: UkiRule, facts: BootFacts): void {
  const uki = requireKnown('the unified kernel image', oneOf(images.map(({ name }) => name)), facts.uki);
  const differences = images.map((image) => findDifference(image, uki));
  const [first] = differences;
  const isMet = differences.includes(undefined);
  const names = oneOf(images.map(({ name }) => name));
  requireRule('P11', isMet, {
    subject: `section ${first?.section} of the unified kernel image`,
    found: first?.found ?? '',
    wanted: `${first?.wanted}, of ${names}`,
    event: first?.event,
  });
  for (const extension of uki.extensions) {
    requireRule('D34', isListed(extensions, extension), {
      subject: 'what the unified kernel image was given besides',
      ...differenceOf(extensions, extension),
    });
  }
}

function findDifference({ sections }: UkiImage, uki: UkiFacts) {
  for (const section of new Set([...Object.keys(sections), ...uki.sections.keys()])) {
    const [wanted, found] = [sections[section]?.toLowerCase(), uki.sections.get(section)];
    if (wanted === found?.digest) continue;
    return {
      section,
      found: found?.digest ?? 'not there',
      wanted: wanted ?? 'none',
      event: found?.event,
    };
  }
  return undefined;
}

const isListed = (allowed: readonly string[], { digest }: MeasuredDigest) =>
  allowed.some((one) => one.toLowerCase() === digest);

function differenceOf(allowed: readonly string[], { digest, hint, event }: MeasuredDigest) {
  return { found: `${digest} (called ${hint})`, wanted: oneOf(allowed), event };
}
