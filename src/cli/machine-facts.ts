import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import type { BootFacts } from '../tpm/boot/boot-facts.ts';
import { readBootFacts } from '../tpm/boot/read-boot-facts.ts';
import { type BelievedBank, bootEvidenceOf, verifyEvidence } from '../tpm/evidence/verify-evidence.ts';
import { readEvidence } from './evidence-flags.ts';

/**
 * What the machine booted that a file is of; its quotes and logs hold.
 *
 * @throws SpiffeError with the file's name
 */
export async function readMachineFacts(path: string, believed: BelievedBank): Promise<BootFacts> {
  const evidence = await readEvidence(path);
  try {
    return readBootFacts(bootEvidenceOf(evidence, verifyEvidence(evidence), believed));
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError(cause.code, `"${path}": ${cause.message}`, { cause });
  }
}
