import type { JwtAuthority } from '../../spiffe/bundle.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';

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

/** @throws SpiffeError `FAILED_PRECONDITION` for a key that stayed out of the bundle. */
export function requireUnrevoked({
  jwtAuthorities: [key],
}: {
  readonly jwtAuthorities: readonly JwtAuthority[];
}): void {
  if (key === undefined) return;
  throw new SpiffeError(
    'FAILED_PRECONDITION',
    `the JWT authority ${quoteText(key.keyId)} was revoked: make another key`,
  );
}
