import { SpiffeError } from '../spiffe/error.ts';

/**
 * A numbered rule of the verifier: the section's letter and the number, such as `A4`. The lists are in docs/plugins/tpm.md,
 * docs/event-log.md, docs/plugins/tpm-devid.md (`G`, DevIDs) and docs/measured-boot.md (`P`, policies).
 */
export type CheckId = `${'A' | 'B' | 'C' | 'D' | 'E' | 'F' | 'G' | 'H' | 'P'}${number}`;

/**
 * Refuses an attestation unless one numbered rule of the verifier holds.
 *
 * @param message says what was found and what was wanted; it travels to the agent.
 * @throws SpiffeError `ATTESTATION_DENIED`, the message followed by the rule's number
 */
export function requireCheck(id: CheckId, condition: boolean, message: string): asserts condition {
  if (!condition) {
    throw new SpiffeError('ATTESTATION_DENIED', `${message} (check ${id})`);
  }
}
