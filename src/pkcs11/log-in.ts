import { SpiffeError } from '../spiffe/error.ts';
import { CryptokiError, isPinRefused } from './cryptoki-error.ts';
import { CKF } from './numbers.ts';
import type { FoundToken } from './protocol.ts';
import type { RefusedPins } from './refused-pins.ts';

export interface LogInOptions {
  /** @throws SpiffeError */
  readonly readPin: () => Promise<string>;
  readonly refusedPins: RefusedPins;
  /** Shows the token the PIN. @throws CryptokiError */
  readonly logIn: (pin: string | undefined) => Promise<void>;
}

/**
 * Logs in, unless that could do harm: a PIN that the token refused is not shown to it again, and where one more wrong PIN would lock
 * it, a person has to enter the right one.
 *
 * @throws CryptokiError
 * @throws SpiffeError `FAILED_PRECONDITION` with what to do
 */
export async function logIn(token: FoundToken, { readPin, refusedPins, logIn: show }: LogInOptions): Promise<void> {
  const has = (flag: number) => (token.flags & flag) !== 0;
  const name = `the PKCS#11 token ${JSON.stringify(token.label)}`;
  if (!has(CKF.loginRequired)) {
    await show(undefined);
    return;
  }
  if (!has(CKF.userPinInitialized)) {
    throw refused(`${name} has no user PIN yet: set one, such as by pkcs11-tool --init-pin`);
  }
  if (has(CKF.userPinLocked)) {
    throw refused(`${name} is locked after too many wrong PINs: its security officer has to set a new one`);
  }
  const pin = await readPin();
  const identity = `${token.manufacturer}/${token.model}/${token.serial}`;
  const before = await refusedPins.findReason(identity, pin);
  if (before !== undefined) {
    const advice = 'it is not tried again, as tokens lock after a few wrong ones: correct the PIN in the configuration';
    throw refused(`${name} refused the configured PIN (${before}); ${advice}`);
  }
  if (has(CKF.userPinFinalTry)) {
    const advice = 'log in once by hand with the right PIN, such as by pkcs11-tool --login --list-objects';
    throw refused(`${name} locks after one more wrong PIN, so none is tried: ${advice}`);
  }
  try {
    await show(pin);
  } catch (error) {
    if (!(error instanceof CryptokiError && isPinRefused(error))) throw error;
    await refusedPins.add(identity, pin, error.returned);
    const advice = 'correct the PIN in the configuration; this one is not tried again';
    throw refused(`${name} refuses the configured PIN: ${error.message}; ${advice}`);
  }
  await refusedPins.forget(identity);
}

function refused(message: string): SpiffeError {
  return new SpiffeError('FAILED_PRECONDITION', message);
}
