import type { SPIFFEID } from '../../gen/spire/api/types/types.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { isAgentId, parseSpiffeId, pathOf, type SpiffeId, trustDomainOf } from '../../spiffe/spiffe-id.ts';
import { parseTrustDomain, type TrustDomain } from '../../spiffe/trust-domain.ts';

export function toApiId(id: SpiffeId): SPIFFEID {
  return { trustDomain: trustDomainOf(id), path: pathOf(id) };
}

/** @throws SpiffeError `ARGUMENT_INVALID` for one that is not set, `SPIFFE_ID_INVALID` for one that breaks a rule. */
export function fromApiId(id: SPIFFEID | undefined, what = 'SPIFFE ID'): SpiffeId {
  if (id === undefined) throw new SpiffeError('ARGUMENT_INVALID', `${what} is missing`);
  const path = id.path === '' || id.path.startsWith('/') ? id.path : `/${id.path}`;
  return parseSpiffeId(`spiffe://${parseTrustDomain(id.trustDomain)}${path}`);
}

/** An ID of an agent of this trust domain. */
export function fromApiAgentId(id: SPIFFEID | undefined, trustDomain: TrustDomain): SpiffeId {
  const parsed = fromApiId(id, 'agent ID');
  if (trustDomainOf(parsed) !== trustDomain) {
    throw new SpiffeError('ARGUMENT_INVALID', `agent ID "${parsed}" is not a member of trust domain "${trustDomain}"`);
  }
  if (!isAgentId(parsed)) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `agent ID "${parsed}" is not an agent's: its path has to be below "/spire/agent/"`,
    );
  }
  return parsed;
}
