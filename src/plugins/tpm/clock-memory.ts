import type { ClockInfo } from '../../tpm/attest.ts';
import { requireCheck } from '../../x509/require-check.ts';

type Restarts = Pick<ClockInfo, 'resetCount' | 'restartCount'>;

const MAX_REMEMBERED = 100_000;

/**
 * How often each TPM had restarted when it was last attested. A count that goes back is the state of a software TPM that
 * was copied or restored. Kept for the life of the process.
 */
export class ClockMemory {
  readonly #last = new Map<string, Restarts>();

  /**
   * @param pubHash of the endorsement key
   * @throws SpiffeError `ATTESTATION_DENIED` (C24)
   */
  requireForward(pubHash: string, { resetCount, restartCount }: Restarts): void {
    const last = this.#last.get(pubHash) ?? { resetCount: 0, restartCount: 0 };
    requireCheck(
      'C24',
      resetCount > last.resetCount || (resetCount === last.resetCount && restartCount >= last.restartCount),
      `the TPM has restarted ${resetCount}.${restartCount} times, and ${last.resetCount}.${last.restartCount} times before: ` +
        'if it was cleared on purpose, restart the server',
    );
    this.#last.delete(pubHash);
    this.#last.set(pubHash, { resetCount, restartCount });
    const [oldest] = this.#last.keys();
    if (this.#last.size > MAX_REMEMBERED && oldest !== undefined) {
      this.#last.delete(oldest);
    }
  }
}
