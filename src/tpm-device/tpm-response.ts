import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import { isNativeTpmError } from './native-tpm.ts';

/** Format-one response codes without the number of handle, session or parameter: Part 2, §6.6.3. */
export const TPM_RC = {
  asymmetric: 0x081,
  value: 0x084,
  hierarchy: 0x085,
  keySize: 0x087,
  authFail: 0x08e,
  integrity: 0x09f,
  badAuth: 0x0a2,
  curve: 0x0a6,
} as const;
/** Bits of a format-one response code without those that count handles, sessions and parameters: Part 2, §6.6.2. */
export const FORMAT_ONE_CODE = 0xbf;

/** Whether an error of `TpmDevice` is the TPM's answer with one of these codes. */
export function isTpmResponse(error: unknown, ...codes: readonly (keyof typeof TPM_RC)[]): boolean {
  if (!isSpiffeError(error, 'TPM_UNAVAILABLE') || !isNativeTpmError(error.cause)) return false;
  const code = error.cause.rc & FORMAT_ONE_CODE;
  return codes.some((name) => TPM_RC[name] === code);
}

/** Says which password is wrong where a command fails for it. @throws SpiffeError `FAILED_PRECONDITION` with this message */
export async function orWrongPassword<T>(command: Promise<T>, message: string): Promise<T> {
  try {
    return await command;
  } catch (cause) {
    if (!isTpmResponse(cause, 'authFail', 'badAuth')) throw cause;
    throw new SpiffeError('FAILED_PRECONDITION', message, { cause });
  }
}
