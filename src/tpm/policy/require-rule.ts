import { SpiffeError } from '../../spiffe/error.ts';
import type { CheckId } from '../../x509/require-check.ts';
import type { EventReference } from '../boot/boot-facts.ts';
import { IMA_PCR } from '../ima/replay-ima-log.ts';

const MAX_CHARACTERS = 400;

/** A rule of a policy: docs/measured-boot.md. */
export type RuleId = CheckId;

/** What a rule looked at. */
export interface Finding {
  /** Such as `the command line of the kernel`. */
  readonly subject: string;
  readonly found: string;
  readonly wanted: string;
  /** Undefined where no event says it, such as the value of a PCR. */
  readonly event?: EventReference | undefined;
}

/** The `cause` of a refusal by a rule. */
export class BrokenRule {
  readonly rule: RuleId;
  readonly finding: Finding;

  constructor(rule: RuleId, finding: Finding) {
    this.rule = rule;
    this.finding = finding;
  }
}

/** @throws SpiffeError `ATTESTATION_DENIED` whose cause is a {@link BrokenRule} */
export function requireRule(rule: RuleId, condition: boolean, finding: Finding): asserts condition {
  if (condition) return;
  throw new SpiffeError('ATTESTATION_DENIED', describeFinding(rule, finding), { cause: new BrokenRule(rule, finding) });
}

function describeFinding(rule: RuleId, { subject, found, wanted, event }: Finding): string {
  const log = event?.pcr === IMA_PCR ? 'IMA entry' : 'event';
  const where = event === undefined ? '' : `${log} ${event.number} (PCR ${event.pcr}, ${event.type}): `;
  return `${where}${subject} is ${shortened(found)}, wanted is ${shortened(wanted)} (check ${rule})`;
}

/** A node says what it likes, and what is behind it has to be read as well. */
function shortened(text: string): string {
  return text.length <= MAX_CHARACTERS ? text : `${text.slice(0, MAX_CHARACTERS).toWellFormed()}…`;
}
