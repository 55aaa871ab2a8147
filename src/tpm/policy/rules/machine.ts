import type { JudgeContext } from '../judge-context.ts';
import { oneOf } from '../require-known.ts';
import { requireRule } from '../require-rule.ts';

/** @throws SpiffeError `ATTESTATION_DENIED` (P15) */
export function requireBootAge(maximum: number, { bootSeenSeconds = 0 }: JudgeContext): void {
  requireRule('P15', bootSeenSeconds <= maximum, {
    subject: 'the age of the boot',
    found: `${Math.floor(bootSeenSeconds)} s or more`,
    wanted: `${maximum} s at most: start the machine again`,
  });
}

/** @throws SpiffeError `ATTESTATION_DENIED` (P16) */
export function requireManufacturer(allowed: readonly string[], { ekManufacturer }: JudgeContext): void {
  const isAllowed = allowed.some((one) => one.toLowerCase() === ekManufacturer?.toLowerCase());
  requireRule('P16', isAllowed, {
    subject: 'the maker of the TPM',
    found: ekManufacturer ?? 'not known: its endorsement key has no certificate that was verified',
    wanted: oneOf(allowed),
  });
}
