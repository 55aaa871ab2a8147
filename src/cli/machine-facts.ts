import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import type { BootFacts } from '../tpm/boot/boot-facts.ts';
import { readBootFacts } from '../tpm/boot/read-boot-facts.ts';
import { type BelievedBank, bootEvidenceOf, verifyEvidence } from '../tpm/evidence/verify-evidence.ts';
import type { EkTrustStore } from '../tpm-trust/ek-trust-store.ts';
import { readEvidence } from './evidence-flags.ts';
import { examineEk } from './examine-ek.ts';

export interface MachineFacts {
  readonly boot: BootFacts;
  /** Undefined where nobody trusted has certified its endorsement key. */
  readonly ekManufacturer: string | undefined;
}

/**
 * What the machine is and booted that a file is of; its quotes and logs hold.
 *
 * @throws SpiffeError with the file's name
 */
export async function readMachineFacts(
  path: string,
  believed: BelievedBank,
  trust?: EkTrustStore,
): Promise<MachineFacts> {
  const evidence = await readEvidence(path);
  try {
    const verified = verifyEvidence(evidence);
    const { verdict } = examineEk({ ek: verified.ek, certificates: evidence.ekCertificates }, trust, new Date());
    return {
      boot: readBootFacts(bootEvidenceOf(evidence, verified, believed)),
      ekManufacturer: verdict?.facts?.manufacturer,
    };
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError(cause.code, `"${path}": ${cause.message}`, { cause });
  }
}
