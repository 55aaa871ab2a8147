import { expect } from 'vitest';
import type { Swtpm } from '../../src/testing/swtpm.ts';

/** Neither key nor session is in the TPM, as soon as the plugin knows that the attestation has ended. */
export async function nothingLeftIn(tpm: Swtpm): Promise<void> {
  const kinds = ['transient', 'loaded-session', 'saved-session'] as const;
  for (const kind of kinds) await expect.poll(() => tpm.handles(kind)).toEqual([]);
}
