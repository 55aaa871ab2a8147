import { expect } from 'vitest';
import type { Swtpm } from '../harness/swtpm.ts';

/** Neither key nor session is in the TPM. */
export async function nothingLeftIn(tpm: Swtpm): Promise<void> {
  const kinds = ['transient', 'loaded-session', 'saved-session'] as const;
  for (const kind of kinds) expect([kind, await tpm.handles(kind)]).toEqual([kind, []]);
}
