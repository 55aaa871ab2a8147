import { type Fact, isKnown } from '../boot/boot-facts.ts';
import { requireRule } from './require-rule.ts';

/** A rule reads only what is proven. @throws SpiffeError `ATTESTATION_DENIED` (C22) */
export function requireKnown<T extends object>(subject: string, wanted: string, fact: Fact<T>): T {
  const found = isKnown(fact) ? '' : `not known: ${fact.unknown}`;
  requireRule('C22', isKnown(fact), { subject, found, wanted });
  return fact;
}

/** For messages: few of many. */
export function oneOf(values: readonly string[]): string {
  const shown = values.slice(0, MAX_SHOWN).join(' or ');
  return values.length > MAX_SHOWN ? `${shown} or ${values.length - MAX_SHOWN} others` : shown || 'nothing';
}

/** The same of texts, in quotes. */
export function oneOfTexts(texts: readonly string[]): string {
  return oneOf(texts.map((text, index) => (index < MAX_SHOWN ? JSON.stringify(text) : '')));
}

const MAX_SHOWN = 4;
