import { expect } from 'vitest';

/** A refusal by a check, whose message begins or goes on with `message`, and ends with the check's number. */
export const denied = (check: string, message: RegExp): unknown =>
  expect.objectContaining({
    code: 'ATTESTATION_DENIED',
    message: expect.stringMatching(new RegExp(`${message.source}.*\\(check ${check}\\)$`)),
  });

/** What `work` throws. */
export function refusalOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return 'nothing was refused';
}
