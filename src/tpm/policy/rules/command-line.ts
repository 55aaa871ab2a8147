import type { BootFacts, CommandLineFacts, MeasuredDigest } from '../../boot/boot-facts.ts';
import type { UkiRule } from '../boot-policy.ts';
import { patternMatcher } from '../pattern.ts';
import { oneOfTexts, requireKnown } from '../require-known.ts';
import { requireRule } from '../require-rule.ts';

/**
 * Holds for every text that may be the command line, and nothing can hide another.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (C22, P12)
 */
export function requireCommandLine(patterns: readonly string[], uki: UkiRule | undefined, facts: BootFacts): void {
  const subject = 'the command line of the kernel';
  const wanted = oneOfTexts(patterns);
  const found = requireKnown(subject, wanted, facts.commandLine);
  const isMatched = patternMatcher(patterns);
  for (const { text, digest, event } of found.lines) {
    requireRule('P12', text !== undefined && isMatched(text), {
      subject,
      found: text === undefined ? `only known by its digest ${digest}` : JSON.stringify(text),
      wanted,
      event,
    });
  }
  const hidden = findHidden(found, uki);
  requireRule('P12', hidden === undefined, {
    subject: 'what was measured beside the command line',
    found: `${hidden?.digest} (called ${hidden?.hint}), which may be another`,
    wanted: 'text, or listed in "extensions"',
    event: hidden?.event,
  });
}

/** What may be a command line that cannot be read: what a unified kernel image is allowed to be given besides is none. */
export function findHidden({ unread }: CommandLineFacts, uki: UkiRule | undefined): MeasuredDigest | undefined {
  const known = uki?.extensions ?? [];
  return unread.find(({ digest }) => !known.some((one) => one.toLowerCase() === digest));
}
