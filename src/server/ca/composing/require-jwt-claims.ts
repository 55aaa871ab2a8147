import { SpiffeError } from '../../../spiffe/error.ts';
import { quoteText } from '../../../spiffe/quote-text.ts';
import type { SpiffeId } from '../../../spiffe/spiffe-id.ts';

/** What the server asks of a token; everything else is the composer's to say. */
export interface RequiredClaims {
  readonly sub: SpiffeId;
  readonly aud: readonly string[];
  readonly iat: number;
  readonly exp: number;
}

const MAX_CLAIMS_CHARACTERS = 16 * 1024;

/**
 * The claims that a composer answered, with those that make a JWT-SVID as they have to be: the same subject and audience,
 * an end no later than the one that was given. Numbers came as floating point numbers.
 *
 * @throws SpiffeError `ARGUMENT_INVALID`
 */
export function requireJwtClaims(
  claims: Readonly<Record<string, unknown>>,
  required: RequiredClaims,
): Readonly<Record<string, unknown>> & RequiredClaims {
  const { sub, aud, iat, exp } = claims;
  if (sub !== required.sub) throw refused(`the subject is ${quoted(sub)}, not ${required.sub}`);
  const audience = [aud].flat();
  const isSame = audience.length === required.aud.length && required.aud.every((one) => audience.includes(one));
  if (!isSame) throw refused(`the audience is ${quoted(aud)}, not ${quoted(required.aud)}`);
  if (!isTime(exp)) throw refused(`the expiry is ${quoted(exp)}, which is no time`);
  if (exp > required.exp) throw refused(`the expiry ${exp} is later than ${required.exp}, which it may not be`);
  if (exp <= required.iat) throw refused(`the expiry ${exp} is no later than the time of issue, ${required.iat}`);
  if (iat !== required.iat) throw refused(`the time of issue is ${quoted(iat)}, not ${required.iat}`);
  const { length } = JSON.stringify(claims);
  if (length > MAX_CLAIMS_CHARACTERS)
    throw refused(`the claims have ${length} characters, more than ${MAX_CLAIMS_CHARACTERS}`);
  return { ...claims, sub: required.sub, aud: required.aud, iat: required.iat, exp };
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value);
}

function quoted(value: unknown): string {
  return quoteText(JSON.stringify(value) ?? 'missing');
}

function refused(message: string): SpiffeError {
  return new SpiffeError('ARGUMENT_INVALID', message);
}
