import type { BootFacts } from '../../boot/boot-facts.ts';
import type { FirmwareRule } from '../boot-policy.ts';
import { patternMatcher } from '../pattern.ts';
import { oneOfTexts, requireKnown } from '../require-known.ts';
import { requireRule } from '../require-rule.ts';
import { isNotOlder } from '../version-order.ts';

/** @throws SpiffeError `ATTESTATION_DENIED` (P1) */
export function requireNoFailure({ failures: [event] }: BootFacts): void {
  requireRule('P1', event === undefined, {
    subject: 'the separator',
    found: 'that of a firmware that failed',
    wanted: 'that of one that did not',
    event,
  });
}

/** @throws SpiffeError `ATTESTATION_DENIED` (C22, P3) */
export function requireFirmware({ versions, minimum }: FirmwareRule, facts: BootFacts): void {
  const subject = 'the version of the firmware';
  const { version, event } = requireKnown(subject, 'measured', facts.firmware);
  const found = JSON.stringify(version);
  const isListed = versions === undefined || patternMatcher(versions)(version);
  requireRule('P3', isListed, { subject, found, wanted: oneOfTexts(versions ?? []), event });
  requireRule('P3', minimum === undefined || isNotOlder(version, minimum), {
    subject,
    found,
    wanted: `${JSON.stringify(minimum)} or newer`,
    event,
  });
}

/** @throws SpiffeError `ATTESTATION_DENIED` (C22, P4) */
export function requireNoDebugMode(facts: BootFacts): void {
  const subject = 'what the firmware says of its mode';
  const { actions } = requireKnown(subject, 'nothing', facts.secureBoot);
  const [action] = actions;
  requireRule('P4', action === undefined, {
    subject,
    found: JSON.stringify(action?.text),
    wanted: 'nothing',
    event: action?.event,
  });
}
