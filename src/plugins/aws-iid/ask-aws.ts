import { isSpiffeError, messageOf, refusalWith } from '../../plugin-sdk/index.ts';

/**
 * One call of an interface of AWS.
 *
 * @param whom for messages, such as `EC2 for the instance "i-1"`
 * @throws SpiffeError `UNAVAILABLE`, which tells the peer what AWS calls the failure, and the operator all of what it says
 */
export async function askAws<T>(whom: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (isSpiffeError(cause)) throw cause;
    const name = cause instanceof Error ? cause.name : 'unknown';
    throw refusalWith('UNAVAILABLE', `the server asked ${whom} in vain (${name})`, messageOf(cause), { cause });
  }
}

/** Tells whether AWS answered with an error of this name. */
export function isAwsError(error: unknown, name: string): boolean {
  return error instanceof Error && (error.name === name || ('Code' in error && error.Code === name));
}
