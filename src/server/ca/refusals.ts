import { messageOf, SpiffeError } from '../../spiffe/error.ts';

/** What was asked for cannot be done to this authority. */
export function refused(message: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', message);
}

/** @throws SpiffeError `INTERNAL` with the reason, as SPIRE has it whatever that is. */
export async function failedBecause<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    const reason = messageOf(cause);
    throw new SpiffeError('INTERNAL', `${what}: ${reason}`, { cause });
  }
}
