/** What a module returned that is not CKR_OK. */
export class CryptokiError extends Error {
  override readonly name = 'CryptokiError';
  /** Such as `CKR_DEVICE_REMOVED`; `CKR_VENDOR_DEFINED` for numbers that the standard does not know. */
  readonly returned: string;
  readonly number: number;
  /** Such as `C_Sign`. */
  readonly call: string;

  constructor(returned: string, number: number, call: string) {
    super(`${call} returned ${returned}${returned === 'CKR_VENDOR_DEFINED' ? ` (0x${number.toString(16)})` : ''}`);
    this.returned = returned;
    this.number = number;
    this.call = call;
  }
}

/** What a thread can send to another of a {@link CryptokiError}. */
export type SentCryptokiError = Pick<CryptokiError, 'returned' | 'number' | 'call'>;

/** After these a session is of no use any more, or somebody has logged out: with new sessions and another log-in it may go on. */
const LOST: ReadonlySet<string> = new Set([
  'CKR_SLOT_ID_INVALID',
  'CKR_DEVICE_REMOVED',
  'CKR_SESSION_CLOSED',
  'CKR_SESSION_HANDLE_INVALID',
  'CKR_TOKEN_NOT_PRESENT',
  'CKR_TOKEN_NOT_RECOGNIZED',
  'CKR_USER_NOT_LOGGED_IN',
  'CKR_CRYPTOKI_NOT_INITIALIZED',
]);

/** What several modules say once their device or service has gone, and for much else. */
const MAYBE_LOST: ReadonlySet<string> = new Set(['CKR_GENERAL_ERROR', 'CKR_FUNCTION_FAILED', 'CKR_DEVICE_ERROR']);

/** The token took offence at the PIN: it is not shown that one again. */
const PIN_REFUSED: ReadonlySet<string> = new Set([
  'CKR_PIN_INCORRECT',
  'CKR_PIN_INVALID',
  'CKR_PIN_LEN_RANGE',
  'CKR_PIN_EXPIRED',
  'CKR_PIN_LOCKED',
]);

/** The module does not do this, or not like this. */
const NOT_OFFERED: ReadonlySet<string> = new Set([
  'CKR_MECHANISM_INVALID',
  'CKR_MECHANISM_PARAM_INVALID',
  'CKR_ARGUMENTS_BAD',
  'CKR_FUNCTION_NOT_SUPPORTED',
  'CKR_KEY_FUNCTION_NOT_PERMITTED',
]);

export const isLost = ({ returned }: SentCryptokiError): boolean => LOST.has(returned);
export const isMaybeLost = ({ returned }: SentCryptokiError): boolean => MAYBE_LOST.has(returned);
export const isPinRefused = ({ returned }: SentCryptokiError): boolean => PIN_REFUSED.has(returned);
export const isNotOffered = ({ returned }: SentCryptokiError): boolean => NOT_OFFERED.has(returned);

/** Whether an object that a handle named is gone. */
export const isGone = ({ returned }: SentCryptokiError): boolean =>
  returned === 'CKR_KEY_HANDLE_INVALID' || returned === 'CKR_OBJECT_HANDLE_INVALID';

/** Runs a function of the module. @throws CryptokiError, or what the addon threw about its arguments */
export function called<Result>(call: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    const [, returned, number] = /^(CKR_\w+):(\d+)$/.exec(error instanceof Error ? error.message : '') ?? [];
    if (returned === undefined) throw error;
    throw new CryptokiError(returned, Number(number), call);
  }
}

/** Runs what may fail because there is nothing left to do. */
export function ignoringReturned(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof CryptokiError)) throw error;
  }
}
