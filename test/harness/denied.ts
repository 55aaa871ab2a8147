import { expect } from 'vitest';

/** What a refusal by one numbered check looks like. */
export function deniedBy(check: string): unknown {
  return expect.objectContaining({
    code: 'ATTESTATION_DENIED',
    message: expect.stringMatching(new RegExp(`\\(check ${check}\\)$`)),
  });
}
