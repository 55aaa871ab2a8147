import type { SPIFFEID } from '../../gen/spire/api/types/types.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import {
  isAgentId,
  isReservedId,
  parseSpiffeId,
  pathOf,
  type SpiffeId,
  trustDomainOf,
} from '../../spiffe/spiffe-id.ts';
import { parseTrustDomain, type TrustDomain } from '../../spiffe/trust-domain.ts';

export function toApiId(id: SpiffeId): SPIFFEID {
  return { trustDomain: trustDomainOf(id), path: pathOf(id) };
}

/** @throws SpiffeError `ARGUMENT_INVALID` for one that is not set, `SPIFFE_ID_INVALID` for one that breaks a rule. */
export function fromApiId(id: SPIFFEID | undefined, what = 'SPIFFE ID'): SpiffeId {
  if (id === undefined) throw new SpiffeError('ARGUMENT_INVALID', `${what} is missing`);
  if (id.path !== '' && !id.path.startsWith('/')) {
    throw new SpiffeError('ARGUMENT_INVALID', `the path ${quoteText(id.path)} of the ${what} does not start with "/"`);
  }
  return parseSpiffeId(`spiffe://${parseTrustDomain(id.trustDomain)}${id.path}`);
}

/** A member of this trust domain: with a path. */
export function fromApiMemberId(id: SPIFFEID | undefined, trustDomain: TrustDomain, what: string): SpiffeId {
  const parsed = fromApiId(id, what);
  if (trustDomainOf(parsed) !== trustDomain || pathOf(parsed) === '') {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `${what} ${quoteText(parsed)} is not a member of trust domain "${trustDomain}"`,
    );
  }
  return parsed;
}

/** A member of this trust domain outside of what is the servers' and agents' own. */
export function fromApiWorkloadId(id: SPIFFEID | undefined, trustDomain: TrustDomain, what = 'SPIFFE ID'): SpiffeId {
  return requireWorkloadId(fromApiId(id, what), trustDomain, what);
}

/** @throws SpiffeError `ARGUMENT_INVALID` */
export function requireWorkloadId(id: SpiffeId, trustDomain: TrustDomain, what = 'SPIFFE ID'): SpiffeId {
  if (trustDomainOf(id) !== trustDomain) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `${what} ${quoteText(id)} is not a member of trust domain "${trustDomain}"`,
    );
  }
  if (pathOf(id) === '' || isReservedId(id)) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `${what} ${quoteText(id)} is not a workload's: it needs a path outside of "/spire"`,
    );
  }
  return id;
}

/** An ID of an agent of this trust domain. */
export function fromApiAgentId(id: SPIFFEID | undefined, trustDomain: TrustDomain): SpiffeId {
  const parsed = fromApiId(id, 'agent ID');
  if (trustDomainOf(parsed) !== trustDomain) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `agent ID ${quoteText(parsed)} is not a member of trust domain "${trustDomain}"`,
    );
  }
  if (!isAgentId(parsed)) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `agent ID ${quoteText(parsed)} is not an agent's: its path has to be below "/spire/agent/"`,
    );
  }
  return parsed;
}
