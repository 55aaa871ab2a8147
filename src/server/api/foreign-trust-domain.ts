import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { parseTrustDomain, type TrustDomain } from '../../spiffe/trust-domain.ts';

/** @throws SpiffeError `ARGUMENT_INVALID`, with SPIRE's words */
export function fromApiTrustDomain(text: string, what = 'trust domain argument is not valid'): TrustDomain {
  return explained(what, () => parseTrustDomain(text));
}

/** The trust domain of somebody else. @param verb such as `setting`, for the refusal of our own. */
export function fromApiForeignTrustDomain(text: string, own: TrustDomain, verb: string): TrustDomain {
  const trustDomain = fromApiTrustDomain(text);
  if (trustDomain !== own) return trustDomain;
  throw new SpiffeError(
    'ARGUMENT_INVALID',
    `${verb} a federated bundle for the server's own trust domain is not allowed`,
  );
}

/** Says before a refusal what it came of. */
export function explained<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('ARGUMENT_INVALID', `${what}: ${cause.message}`, { cause });
  }
}
