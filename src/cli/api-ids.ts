import type { SPIFFEID } from '../gen/spire/api/types/types.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { parseSpiffeId, pathOf, trustDomainOf } from '../spiffe/spiffe-id.ts';

/** @param flag such as `-spiffeID`, for messages. @throws SpiffeError `SPIFFE_ID_INVALID` */
export function parseApiId(text: string, flag: string): SPIFFEID {
  try {
    const id = parseSpiffeId(text);
    return { trustDomain: trustDomainOf(id), path: pathOf(id) };
  } catch (cause) {
    if (!(cause instanceof SpiffeError)) throw cause;
    throw new SpiffeError(cause.code, `${flag}: ${cause.message}`, { cause });
  }
}

export function formatApiId(id: SPIFFEID | undefined): string {
  return id === undefined ? '' : `spiffe://${id.trustDomain}${id.path}`;
}

/** @throws SpiffeError `ARGUMENT_INVALID` where a flag that is needed was not given */
export function requireGiven(given: string | readonly string[], advice: string): void {
  if (given.length === 0) throw new SpiffeError('ARGUMENT_INVALID', advice);
}
